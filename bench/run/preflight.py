"""Everything a user can get wrong, told in one line before anything is measured."""

import tempfile
from argparse import Namespace
from collections.abc import Collection, Iterable
from pathlib import Path

import torch
from torch import nn

from bench.arms.engine import Shape, packaged
from bench.arms.table import check_method, methods, tuned_as
from bench.base.paths import called
from bench.instruments.machine import available_devices
from bench.profiles import Profile, UnlearningPlan
from bench.record import Case, ModelFile, Tail
from bench.workloads.datasets import Library, check_dataset
from bench.workloads.images.preprocessing import preprocessing_of
from bench.workloads.images.samples import ImageData
from bench.workloads.models import ImageSpec, build_model, check_model, check_seeded, models
from bench.workloads.splits import check_scenario, split
from bench.workloads.weights import load_weights
from zo_core.ascent.tail import move_only
from zo_core.edge.package import PackageError

LOOKED_AT = 100  # samples of a class, about
KNOWN = 0.1  # share of them beyond chance: who never saw a class does not call anything so


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
            check_method(method, "step", plan.engine)
    for runs in profile.unlearning:
        _check_unlearning(runs)
    for method, tails in (profile.tuning.arm_tails if profile.tuning else {}).items():
        check_method(method, "unlearning")
        for tail in tails:
            _check_tail(method, tail)
    preprocessing_of(profile)


def check_hyperparameters(profile: Profile) -> None:
    """Raise ValueError unless the profile says how to run each of its unlearning arms."""
    for plan in profile.unlearning:
        for method in plan.methods:
            needed = tuned_as(method)
            if methods.get(method).start is not None and needed not in plan.hyperparameters:
                raise ValueError(
                    f"{profile.name}: add {needed} = {{ lr = ... }} to [unlearning.hyperparameters] for {method!r}, or "
                    f"let {called('tune')} find it"
                )
            if not plan.batch_sizes_of(needed):
                raise ValueError(
                    f'{profile.name}: batch_sizes = "tuned": add batch_size = ... to {needed} in '
                    f"[unlearning.hyperparameters], or let {called('tune')} find it"
                )


def _check_unlearning(plan: UnlearningPlan) -> None:
    models.get(plan.model)
    if plan.dataset is not None:
        check_dataset(plan.dataset)
    for scenario in plan.scenarios:
        check_scenario(scenario)
    for method in plan.methods:
        check_method(method, "unlearning", plan.engine)
    for method in plan.hyperparameters:
        check_method(method, "unlearning")
    for method, given in plan.hyperparameters.items():
        _check_tail(method, given.tail)


def _check_tail(method: str, tail: Tail) -> None:
    tails = methods.get(method).tails
    if tail not in ("all", *tails):
        moving = " or ".join(tails)
        raise ValueError(f"{method} moves the {moving} and nothing else: leave its tail = {tail!r} out")


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
        ValueError: the data are not there, a model does not take such images or gives no logits for them, an engine
            cannot run it, or a scenario names a class that is not in the data or leaves nothing to forget, to keep or
            to test on.
    """
    sent = {(case.model, case.dataset, case.image_size, case.dtype) for case in cases}
    for model, dataset, image_size, dtype in sorted(sent):
        check_model(model, library(dataset, image_size).spec, dtype)
    for model, dataset, image_size, threads in sorted(
        {(case.model, case.dataset, case.image_size, case.threads) for case in cases if case.engine != "torch"}
    ):
        _check_on_engine(model, library(dataset, image_size).spec, threads)
    splits = {(case.scenario, case.seed, case.dataset, case.image_size) for case in cases if case.scenario}
    for scenario, seed, dataset, image_size in sorted(splits):
        parts = split(library(dataset, image_size), scenario, seed)
        if not min(len(parts.forget), len(parts.retain), len(parts.test)):
            raise ValueError(
                f"scenario {scenario} leaves {len(parts.forget)} training samples to forget, {len(parts.retain)} to "
                f"keep and {len(parts.test)} test samples; none of them may be empty"
            )


def _check_on_engine(model: str, spec: ImageSpec, threads: int) -> None:
    """Raise ValueError if the network cannot be exported; single steps then run on what was exported here."""
    network = build_model(model, spec, 0).eval()
    try:
        packaged(network, Shape(spec.channels, spec.size, spec.classes), threads)
    except PackageError as error:
        raise ValueError(f"model {model!r} cannot run on an engine: {error}") from None


def check_weights(profile: Profile, library: Library, download: bool) -> tuple[ModelFile, ...]:
    """Load the weights that the profile names into its models; returns the files that they come from.

    Raises:
        ValueError: they cannot be read, do not fit, or are Retrain's and have learned what is to be forgotten.
    """
    files = []
    for plan in profile.unlearning:
        data = library(plan.dataset or profile.dataset, plan.image_size)
        loaded = []
        for weights in filter(None, (plan.weights, plan.retrained)):
            loaded.append(build_model(plan.model, data.spec, 0, plan.dtype).eval())
            files.append(load_weights(loaded[-1], weights, plan.model, download))
        if plan.retrained is not None:
            _check_retrained(plan, data, *loaded)
    return tuple(files)


@torch.no_grad()
def _check_retrained(plan: UnlearningPlan, data: ImageData, original: nn.Module, retrained: nn.Module) -> None:
    """Raise ValueError if Retrain is the original, or knows a class that it is to have never seen."""
    both = zip(original.parameters(), retrained.parameters(), strict=True)
    if all(torch.equal(one, other) for one, other in both):
        raise ValueError(f"retrained = {plan.retrained!r} is the original itself: it has seen what is to be forgotten")
    for scenario in plan.scenarios:
        parts = split(data, scenario, seed=0)
        if parts.forgotten_class is None:
            continue
        some = parts.forget[:: max(1, len(parts.forget) // LOOKED_AT)]
        known = (retrained(data.train.images[some]).argmax(1) == parts.forgotten_class).float().mean().item()
        if known > 1 / len(data.classes) + KNOWN:
            raise ValueError(
                f"retrained = {plan.retrained!r} is right on {known:.0%} of what {scenario} is to forget: it has seen "
                "it; give a model that was trained without, or retrain = false"
            )


def check_tails(profile: Profile, library: Library, tried: Iterable[Tail] = ()) -> None:
    """Raise ValueError unless there is something to move in the tails that the profile names, or that are `tried`."""
    for plan in profile.unlearning:
        tails = {*tried, *(given.tail for given in plan.hyperparameters.values())} - {"all"}
        spec = library(plan.dataset or profile.dataset, plan.image_size).spec
        for tail in sorted(tails):
            move_only(build_model(plan.model, spec, 0, plan.dtype), tail)


def check_retrain(profile: Profile, library: Library, cases: Collection[Case]) -> None:
    """Raise ValueError if a model that Retrain is trained from would not start from nothing."""
    trained = [case for case in cases if case.scenario is not None and profile.plan_of(case).trains_retrain]
    for model, dataset, image_size in sorted({(case.model, case.dataset, case.image_size) for case in trained}):
        check_seeded(model, library(dataset, image_size).spec)


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
