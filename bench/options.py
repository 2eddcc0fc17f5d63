"""The command line of `pytest bench/`, read and checked."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.json_option import DEFAULT_JSON, ROOT
from bench.preflight import check_device, check_names, prepare_file, prepare_folder
from bench.profile import Profile, load_profile

CHECKPOINTS = ROOT / ".cache" / "checkpoints"


@dataclass(frozen=True)
class Settings:
    """What the user asked for.

    Attributes:
        profile: with the command line's device and country put in.
        data_root, download: where torchvision's data sets are, and whether to fetch a missing one.
        checkpoints: folder of trained models.
        json_path: where the benchmark JSON goes, None for nowhere.
        journal: where finished cases are kept, beside the JSON.
        resume: go on from the journal.
    """

    profile: Profile
    data_root: Path | None
    download: bool
    checkpoints: Path
    json_path: Path | None
    journal: Path
    resume: bool


def read(option: Namespace) -> Settings:
    """Check the options and prepare the output folder.

    Raises:
        ValueError: something cannot be used; the message is one line and names the way out.
    """
    profile = load_profile(option.profile)
    if option.device is not None:
        check_device(option.device)
        profile = profile.model_copy(update={"devices": [option.device]})
    if option.country is not None:
        profile = profile.model_copy(update={"country": option.country})
    check_names(profile)
    json_path = option.benchmark_json or DEFAULT_JSON
    journal = json_path.parent / "journal.jsonl"
    if not option.collectonly:
        for file in (json_path, journal):
            prepare_file(file)
        prepare_folder(option.checkpoints)
    return Settings(
        profile, option.data_root, option.download, option.checkpoints, option.benchmark_json, journal, option.resume
    )


@contextmanager
def as_usage_error() -> Iterator[None]:
    """Turn a ValueError into pytest's own one-line error, exit code 4."""
    try:
        yield
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
