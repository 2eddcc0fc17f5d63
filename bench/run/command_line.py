"""The command line of `pytest bench/`, read and checked."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.base.paths import DEFAULT_JSON
from bench.profiles import MOST_THREADS, Profile, load_profile, read_profile
from bench.record import JOURNAL
from bench.run.preflight import (
    check_country,
    check_device,
    check_hyperparameters,
    check_names,
    check_one_process,
    prepare_file,
    prepare_folder,
)


@dataclass(frozen=True)
class Settings:
    """What the user asked for.

    Attributes:
        profile: with the command line's device, threads and country put in.
        profile_text: its file, as it was read.
        data_root, download: where torchvision's data sets are, and whether to fetch a missing one.
        checkpoints: folder of trained models.
        json_path: where the benchmark JSON goes, None for nowhere.
        journal: where finished cases are kept, beside the JSON.
        resume: go on from the journal.
        memory_only: run the memory ledgers alone, without time, energy or training.
        energy: whether energy is metered.
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


def read(option: Namespace) -> Settings:
    """Check the options and prepare the output folder.

    Raises:
        ValueError: something cannot be used; the message is one line and names the way out.
    """
    profile = _with_changes(load_profile(option.profile), option)
    check_names(profile)
    check_hyperparameters(profile)
    check_one_process(option)
    json_path = option.benchmark_json or DEFAULT_JSON
    journal = json_path.parent / JOURNAL
    if not option.collectonly:
        check_country(profile.country)
        for file in (json_path, journal):
            prepare_file(file)
        prepare_folder(option.checkpoints)
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
    )


def _with_changes(profile: Profile, option: Namespace) -> Profile:
    """The profile with the command line's device, threads and country put in."""
    if option.device is not None:
        check_device(option.device)
    if option.threads is not None and not 0 < option.threads <= MOST_THREADS:
        raise ValueError(f"--threads must be from 1 to {MOST_THREADS}, not {option.threads}")
    changes = {
        "devices": None if option.device is None else [option.device],
        "threads": option.threads,
        "country": option.country,
    }
    return profile.model_copy(update={name: value for name, value in changes.items() if value is not None})


@contextmanager
def as_usage_error() -> Iterator[None]:
    """Turn a ValueError into pytest's own one-line error, exit code 4."""
    try:
        yield
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
