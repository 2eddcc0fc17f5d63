"""The command line of `pytest bench/`, read and checked; and `zo-bench run`, which is that from wherever one works."""

import shlex
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import ValidationError

from bench.arms.table import lend, methods, tuned_as
from bench.base.paths import CACHE, DEFAULT_JSON, ROOT
from bench.profiles import MOST_THREADS, Profile, Tuned, UnlearningPlan, load_profile, read_profile
from bench.record import JOURNAL, first_line
from bench.run.preflight import (
    check_country,
    check_device,
    check_hyperparameters,
    check_names,
    check_one_process,
    prepare_file,
    prepare_folder,
)

# The suite's configuration and conftest, and no others: pytest would take those of the folder that it is started in.
SUITE = (
    *("-c", str(ROOT / "pyproject.toml"), "--rootdir", str(ROOT), "-o", f"cache_dir={CACHE / 'pytest'}"),
    *("--noconftest", "-p", "bench.conftest", f"--benchmark-storage=file://{CACHE / 'benchmarks'}"),
    *(f"--benchmark-json={DEFAULT_JSON}", str(ROOT / "bench")),
)


def main(arguments: Sequence[str]) -> int:
    """Run the cases as `zo-bench run` does; returns pytest's exit code."""
    return int(pytest.main([*SUITE, *arguments]))


def as_typed(arguments: Sequence[str]) -> str:
    """The command that pytest was started by with these arguments."""
    ours = tuple(arguments[: len(SUITE)]) == SUITE
    return shlex.join(["zo-bench", "run", *arguments[len(SUITE) :]] if ours else ["pytest", *arguments])


@dataclass(frozen=True)
class Settings:
    """What the user asked for.

    Attributes:
        profile: with the command line's device, threads, country and learning rates put in, and what arms borrow.
        profile_text: its file, as it was read.
        data_root, download: where torchvision's data sets are, and whether to fetch a missing one.
        checkpoints: folder of trained models.
        json_path: where the benchmark JSON goes, None for nowhere.
        journal: where finished cases are kept, beside the JSON.
        resume: go on from the journal.
        memory_only: run the memory ledgers alone, without time, energy or training.
        energy: whether energy is metered.
        save_models: where models are written at completion; None for nowhere.
    """

    profile: Profile
    profile_text: str
    data_root: Path | None
    download: bool
    checkpoints: Path
    json_path: Path | None
    journal: Path
    resume: bool
    memory_only: bool
    energy: bool
    save_models: Path | None


def read(option: Namespace) -> Settings:
    """Check the options and prepare the output folder.

    Raises:
        ValueError: something cannot be used; the message is one line and names the way out.
    """
    profile = _with_changes(load_profile(option.profile), option)
    check_names(profile)
    check_hyperparameters(profile)
    profile = lend(profile)
    check_one_process(option)
    if option.memory_only and option.save_models:
        raise ValueError("--memory-only makes no models: leave it or --save-models out")
    json_path = option.benchmark_json or DEFAULT_JSON
    journal = json_path.parent / JOURNAL
    if not option.collectonly:
        check_country(profile.country)
        for file in (json_path, journal):
            prepare_file(file)
        for folder in filter(None, (option.checkpoints, option.save_models)):
            prepare_folder(folder)
    return Settings(
        profile=profile,
        profile_text=read_profile(option.profile),
        data_root=option.data_root,
        download=option.download,
        checkpoints=option.checkpoints,
        json_path=option.benchmark_json,
        journal=journal,
        resume=option.resume,
        memory_only=option.memory_only,
        energy=not option.no_energy,
        save_models=option.save_models,
    )


def _with_changes(profile: Profile, option: Namespace) -> Profile:
    """The profile with the command line's device, threads, country and learning rates put in."""
    if option.device is not None:
        check_device(option.device)
    if option.threads is not None and not 0 < option.threads <= MOST_THREADS:
        raise ValueError(f"--threads must be from 1 to {MOST_THREADS}, not {option.threads}")
    changes = {
        "devices": None if option.device is None else [option.device],
        "threads": option.threads,
        "country": option.country,
        "unlearning": [_with_rates(plan, option.lr) for plan in profile.unlearning] if option.lr else None,
    }
    return profile.model_copy(update={name: value for name, value in changes.items() if value is not None})


def _with_rates(plan: UnlearningPlan, given: Iterable[str]) -> UnlearningPlan:
    """The plan with learning rates that are given as ARM=VALUE."""
    tuned = dict(plan.hyperparameters)
    for one in given:
        arm, _, value = one.partition("=")
        if arm not in map(tuned_as, plan.methods):
            arms = dict.fromkeys(tuned_as(name) for name in plan.methods if methods.get(name).start is not None)
            raise ValueError(f"--lr {one}: write ARM=VALUE, the arm being one of {', '.join(arms)}")
        try:
            former = tuned.get(arm, Tuned(lr=0)).model_dump()
            tuned[arm] = Tuned.model_validate(former | {"lr": value})
        except ValidationError as error:
            raise ValueError(f"--lr {one}: {first_line(error)}") from None
    return plan.model_copy(update={"hyperparameters": tuned})


@contextmanager
def as_usage_error() -> Iterator[None]:
    """Turn a ValueError into pytest's own one-line error, exit code 4."""
    try:
        yield
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
