"""Training from scratch: the original model, and the model retrained without the forget set."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.arms.arm import Batch, optimizer_step
from bench.base.atomic_write import replacing
from bench.base.seeds import drawing_by, generator
from bench.profiles import Training
from bench.record import Dtype
from bench.workloads.images.samples import ImageData
from bench.workloads.models import build_model
from bench.workloads.splits import endless_places
from bench.workloads.training.recipe import (
    augmentation,
    batch_laid_out,
    laid_out,
    training_objective,
    training_optimizer,
)

Track = Callable[[Iterable[int]], Iterable[int]]


@dataclass(frozen=True)
class Lesson:
    """What a new model learns, and how.

    Attributes:
        model: its registered name.
        indices: (n,) int64, the training samples.
        seed: initialization, order, augmentation and dropout come from it.
        dtype: what passes run in, where `training` says nothing of its own; gradients and momentum are float32, and no
            loss is scaled.
    """

    model: str
    data: ImageData
    indices: Tensor
    training: Training
    seed: int
    device: torch.device
    dtype: Dtype = "float32"

    @property
    def steps(self) -> int:
        """Optimizer steps that it takes."""
        return self.training.epochs * self.steps_an_epoch

    @property
    def steps_an_epoch(self) -> int:
        """Those of one pass over the samples."""
        return math.ceil(len(self.indices) / self.training.batch_size)

    def batches(self, start: int) -> Iterator[Batch]:
        """Without end, augmented, on the device; from the one that step `start` takes, counted from 0, on."""
        train, size = self.data.train, self.data.spec.size
        augmented = augmentation(self.training, size)
        order = generator(self.seed, "training")
        for batch in islice(endless_places(self.indices, self.training.batch_size, order), start, None):
            images, labels = augmented(train.images[batch]), train.labels[batch]
            yield batch_laid_out((images.to(self.device), labels.to(self.device)), self.training)


def learn(
    lesson: Lesson, track: Track = lambda steps: steps, steps: int | None = None, unfinished: Path | None = None
) -> nn.Module:
    """Train a new model.

    Args:
        track: wraps the step numbers, to show progress.
        steps: stop after so many of them, with a model that has not learned all; for what a step takes.
        unfinished: where a training that was broken off is found again, and goes on to the same weights; written after
            every epoch.

    Returns:
        The model on the lesson's device, in eval mode.

    Raises:
        UnfinishedError: what is in `unfinished` cannot be gone on from.
    """
    training = lesson.training
    model = build_model(lesson.model, lesson.data.spec, lesson.seed, training.dtype or lesson.dtype)
    model = laid_out(model.to(lesson.device).train(), training)
    course = _Course(model, lesson, unfinished)
    objective = training_objective(training)
    with drawing_by(lesson.seed, lesson.device):  # augmentation and dropout
        start = course.resumed()
        numbers = range(start, lesson.steps if steps is None else min(steps, lesson.steps))
        for number, batch in zip(track(numbers), lesson.batches(start), strict=False):
            optimizer_step(model, batch, course.optimizer, objective).run()
            course.schedule.step()
            if unfinished is not None and (number + 1) % lesson.steps_an_epoch == 0:
                course.keep(number + 1)
    return model.to(memory_format=torch.contiguous_format).eval()


class UnfinishedError(ValueError):
    """A training that cannot be gone on with."""


class _Course:
    """How far a training has come: all that its next step depends on."""

    def __init__(self, model: nn.Module, lesson: Lesson, unfinished: Path | None) -> None:
        self.optimizer = training_optimizer(model, lesson.training)
        peaks = [lesson.training.lr for _ in self.optimizer.param_groups]
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=peaks, total_steps=lesson.steps, cycle_momentum=False
        )
        self._model, self._device, self._unfinished = model, lesson.device, unfinished

    def keep(self, taken: int) -> None:
        """Write it down, after so many steps."""
        assert self._unfinished is not None, "there is somewhere to keep it"
        state = {"taken": taken, "device": self._device.type, "draws": _draws(self._device)}
        state |= {name: part.state_dict() for name, part in self._parts.items()}
        self._unfinished.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._unfinished) as file:
            torch.save(state, file)

    def resumed(self) -> int:
        """Be what was kept, if something was; returns how many steps were taken."""
        if self._unfinished is None or not self._unfinished.exists():
            return 0
        try:
            state = torch.load(self._unfinished, map_location="cpu", weights_only=True)
            if state["device"] != self._device.type:  # which draws otherwise
                raise UnfinishedError(f"begun on {state['device']}")
            for name, part in self._parts.items():
                part.load_state_dict(state[name])
            _draw_from(state["draws"], self._device)
            return int(state["taken"])
        except UnfinishedError:
            raise
        except Exception as error:  # whatever a damaged file makes of itself
            raise UnfinishedError(type(error).__name__) from error

    @property
    def _parts(self) -> dict[str, Any]:
        return {"model": self._model, "optimizer": self.optimizer, "schedule": self.schedule}


def _draws(device: torch.device) -> list[Tensor]:
    """The states of torch's default generators, of the CPU and of an accelerator."""
    others = [] if device.type == "cpu" else [torch.get_device_module(device).get_rng_state()]
    return [torch.get_rng_state(), *others]


def _draw_from(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0].cpu())
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[1].cpu())
