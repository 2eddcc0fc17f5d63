"""What the cases of a profile are made of: its data, and models trained on them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.base.progress import Progress
from bench.instruments.stand_in import StandIn
from bench.profiles import SHARED, Profile
from bench.record import Case, ModelFile
from bench.workloads.datasets import Library, library
from bench.workloads.images.preprocessing import preprocessing_of
from bench.workloads.images.samples import ImageData, PerClass
from bench.workloads.models import build_model
from bench.workloads.training.checkpoints import CheckpointKey, load_or_train
from bench.workloads.training.lesson import Lesson, learn
from bench.workloads.weights import load_weights


@dataclass(frozen=True)
class Made:
    """A model that has learned, in eval mode on its device, and the file that it came from; None if it was trained."""

    model: nn.Module
    source: ModelFile | None


@dataclass(frozen=True)
class Materials:
    """The data and trained models of a profile.

    Attributes:
        library: loads data by name and image size in pixels, once for each.
        checkpoints: folder of trained models.
        progress: tells the user what is going on.
        download: whether missing weights of torchvision's may be fetched.
    """

    profile: Profile
    library: Library
    checkpoints: Path
    progress: Progress
    download: bool = False
    _known: dict[tuple[Case, str], dict[str, Any]] = field(default_factory=dict, init=False)

    def known_of(self, case: Case) -> dict[str, Any]:
        """What was found out before about the case's original and Retrain, by name: the same for all arms of a seed
        whose tables agree on where the two come from and how they are looked at.
        """
        same = case.model_copy(update={"method": "retrain", "batch_size": 1, "batch_tuned": False, "engine": "torch"})
        shared = self.profile.plan_of(case).model_dump_json(include=set(SHARED))
        return self._known.setdefault((same, shared), {})

    def data_of(self, case: Case) -> ImageData:
        """The data that the case runs on."""
        return self.library(case.dataset, case.image_size)

    def stand_in(self, case: Case) -> StandIn:
        """What stands in for the case wherever only its memory matters."""
        spec = self.data_of(case).spec
        if case.scenario is None:
            return StandIn.of(case, spec, None)
        plan = self.profile.plan_of(case)
        given = plan.hyperparameters.get(case.method)
        return StandIn.of(case, spec, plan.training, plan.train_mode, "all" if given is None else given.tail)

    def original(self, case: Case) -> Made:
        """The model that an unlearning case starts from: the profile's weights, or trained on everything."""
        weights = self.profile.plan_of(case).weights
        if weights is None:
            return Made(self._trained(case, torch.arange(len(self.data_of(case).train))), None)
        return self._loaded(case, weights)

    def retrained(self, case: Case, retain: Tensor) -> Made | None:
        """Retrain's model: the profile's weights, or trained on the samples at `retain`; None where there is none."""
        plan = self.profile.plan_of(case)
        if plan.trains_retrain:
            return Made(self._trained(case, retain), None)
        return None if plan.retrained is None else self._loaded(case, plan.retrained)

    def _loaded(self, case: Case, weights: str) -> Made:
        model = build_model(case.model, self.data_of(case).spec, case.seed, case.dtype)
        source = load_weights(model, weights, case.model, self.download)
        return Made(model.to(case.device).eval(), source)

    def lesson(self, case: Case, indices: Tensor) -> Lesson:
        """What a model of the case learns from the samples at `indices`."""
        training = self.profile.plan_of(case).training
        assert training is not None, "the profile is checked for it"
        device = torch.device(case.device)
        return Lesson(case.model, self.data_of(case), indices, training, case.seed, device, case.dtype)

    def _trained(self, case: Case, indices: Tensor) -> nn.Module:
        """A model trained on the samples at `indices`; from the cache where it is there."""
        lesson = self.lesson(case, indices)
        model = build_model(case.model, lesson.data.spec, case.seed, case.dtype).to(case.device)
        return load_or_train(
            self.checkpoints,
            CheckpointKey.of(lesson, case.dataset),
            model,
            lambda unfinished: learn(lesson, self.tracker("training", lesson.steps), unfinished=unfinished),
            tell=self.progress.say,
        )

    def tracker(self, description: str, total: int | None) -> Callable[[Iterable[Any]], Iterator[Any]]:
        """Passes items through and shows how many of `total` went by."""
        return lambda items: self.progress.track(items, description, total)


def profile_library(
    profile: Profile,
    root: Path | None,
    download: bool,
    scratch: Path,
    tell: Callable[[str], None],
    tuning: bool = False,
) -> Library:
    """The library with the profile's subsets, or those for tuning, and preprocessing; see `library` and `Source`."""
    per_class = PerClass(profile.train_per_class, profile.test_per_class)
    if tuning and profile.tuning is not None:
        own = profile.tuning
        per_class = PerClass(own.train_per_class or per_class.train, own.test_per_class or per_class.test)
    return library(root, download, profile.test_fraction, per_class, preprocessing_of(profile), scratch, tell)
