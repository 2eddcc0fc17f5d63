"""What the cases of a profile are made of: its data, and models trained on them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.base.progress import Progress
from bench.instruments.stand_in import StandIn
from bench.profiles import Profile
from bench.record import Case
from bench.workloads.checkpoints import CheckpointKey, load_or_train
from bench.workloads.datasets import ImageData, Library, PerClass, library
from bench.workloads.models import build_model
from bench.workloads.training import train_from_scratch, training_steps


@dataclass(frozen=True)
class Materials:
    """The data and trained models of a profile.

    Attributes:
        library: loads data by name and image size in pixels, once for each.
        checkpoints: folder of trained models.
        progress: tells the user what is going on.
    """

    profile: Profile
    library: Library
    checkpoints: Path
    progress: Progress

    def data_of(self, case: Case) -> ImageData:
        """The data that the case runs on."""
        return self.library(case.dataset, case.image_size)

    def stand_in(self, case: Case) -> StandIn:
        """What stands in for the case wherever only its memory matters."""
        spec = self.data_of(case).spec
        if case.scenario is None:
            return StandIn.of(case, spec, None)
        plan = self.profile.plan_of(case)
        return StandIn.of(case, spec, plan.training, plan.train_mode)

    def trained(self, case: Case, indices: Tensor) -> nn.Module:
        """The model of an unlearning case, trained on the samples at `indices`; from the cache where it is there."""
        data, training = self.data_of(case), self.profile.plan_of(case).training
        key = CheckpointKey.of(case.model, case.dataset, data, indices, training, case.seed)
        device = torch.device(case.device)
        model = build_model(case.model, data.spec, case.seed).to(device)
        steps = training_steps(training, len(indices))

        def train() -> nn.Module:
            return train_from_scratch(
                case.model, data, indices, training, case.seed, device, self.tracker("training", steps)
            )

        return load_or_train(self.checkpoints, key, model, train, tell=self.progress.say)

    def tracker(self, description: str, total: int | None) -> Callable[[Iterable[Any]], Iterator[Any]]:
        """Passes items through and shows how many of `total` went by."""
        return lambda items: self.progress.track(items, description, total)


def profile_library(profile: Profile, root: Path | None, download: bool) -> Library:
    """The library with the profile's subsets; see `Source` for `root` and `download`."""
    per_class = PerClass(profile.train_per_class, profile.test_per_class)
    return library(root, download, profile.test_fraction, per_class)
