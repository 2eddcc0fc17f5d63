"""Everything a user can get wrong, told in one line before anything is measured."""

import tempfile
from argparse import Namespace
from collections.abc import Collection
from pathlib import Path

from bench.arms.table import check_method, methods, tuned_as
from bench.instruments.machine import available_devices
from bench.profiles import Profile, UnlearningPlan
from bench.record import Case
from bench.workloads.datasets import Library, check_dataset
from bench.workloads.models import check_model, models
from bench.workloads.splits import check_scenario, split


def check_names(profile: Profile) -> None:
    """Check every name in the profile against what exists, without loading data.

    Raises:
        ValueError: a name is unknown; the message lists the valid ones.
    """
    check_dataset(profile.dataset)
    for plan in profile.step:
        for model in plan.models:
            models.get(model)
        for method in plan.methods:
            check_method(method, "step")
    for runs in profile.unlearning:
        _check_unlearning(runs)


def check_hyperparameters(profile: Profile) -> None:
    """Raise ValueError unless the profile says how to run each of its unlearning arms."""
    for plan in profile.unlearning:
        for method in plan.methods:
            needed = tuned_as(method)
            if methods.get(method).start is not None and needed not in plan.hyperparameters:
                raise ValueError(
                    f"{profile.name}: add {needed} = {{ lr = ... }} to [unlearning.hyperparameters] for {method!r}, or "
                    "let python -m bench.tune find it"
                )


def _check_unlearning(plan: UnlearningPlan) -> None:
    models.get(plan.model)
    if plan.dataset is not None:
        check_dataset(plan.dataset)
    for scenario in plan.scenarios:
        check_scenario(scenario)
    for method in (*plan.methods, *plan.hyperparameters):
        check_method(method, "unlearning")


def check_country(country: str) -> None:
    """Raise ValueError unless CodeCarbon knows the country's grid."""
    from bench.instruments import energy  # takes a second, which who only lists the cases need not wait for

    energy.check_country(country)


def check_one_process(option: Namespace) -> None:
    """Raise ValueError if pytest-xdist is to spread the cases over workers.

    They would share cores while they are timed, and write to one journal.
    """
    if getattr(option, "dist", "no") != "no" or getattr(option, "tx", None):
        raise ValueError("cases are timed one after the other, so not by several workers: leave -n (pytest-xdist) out")


def check_device(device: str) -> None:
    """Raise ValueError unless torch can use `device` here."""
    if device not in available_devices():
        raise ValueError(f"device {device!r} is not available here; choose from: {', '.join(available_devices())}")


def check_data(library: Library, cases: Collection[Case]) -> None:
    """Load the data that the cases need, and check models and scenarios against them.

    Raises:
        ValueError: the data are not there, a model does not take such images, or a scenario names a class that is
            not in the data or leaves nothing to forget, to keep or to test on.
    """
    for model, dataset, image_size in sorted({(case.model, case.dataset, case.image_size) for case in cases}):
        check_model(model, library(dataset, image_size).spec)
    splits = {(case.scenario, case.seed, case.dataset, case.image_size) for case in cases if case.scenario}
    for scenario, seed, dataset, image_size in sorted(splits):
        parts = split(library(dataset, image_size), scenario, seed)
        if not min(len(parts.forget), len(parts.retain), len(parts.test)):
            raise ValueError(
                f"scenario {scenario} leaves {len(parts.forget)} training samples to forget, {len(parts.retain)} to "
                f"keep and {len(parts.test)} test samples; none of them may be empty"
            )


def prepare_file(path: Path) -> None:
    """Make the folder of a file that will be written later; raises ValueError if nothing can be written there."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "a device"
        raise ValueError(f"{path} is {what}; give the name of a file, or put the option last to use the default")
    prepare_folder(path.parent)


def prepare_folder(folder: Path) -> None:
    """Make a folder that will be written into; raises ValueError if that cannot be done."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(f"cannot write into the folder {folder}: {error.strerror}; choose another") from None
