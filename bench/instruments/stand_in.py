"""A stand-in for a case: its step on blank images. Its memory is the case's to the byte, from names and shapes alone.

No data and no training are needed, so the step can be made in another process, or without any memory at all.
"""

import importlib
from collections.abc import Iterator
from dataclasses import replace

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn

from bench.arms.arm import Batch, Hyperparameters, Request, Step, first_step, optimizer_step
from bench.arms.engine import Packaged, Shape, packaged
from bench.arms.table import methods
from bench.profiles import Training
from bench.record import Case, Tail
from bench.workloads.models import ImageSpec, build_model, models
from bench.workloads.training.recipe import batch_laid_out, laid_out, training_objective, training_optimizer

IDLE = Hyperparameters(lr=0.0, eps=1e-3, seed=0)


class StandIn(BaseModel):
    """What the memory of a case's step depends on.

    Attributes:
        case: the case; a scenario makes no difference.
        channels, classes: of its data.
        training: how Retrain trains; None for other methods.
        train_mode: whether the model is in train mode.
        tail: how much of the model moves.
        modules: what must be imported for the case's names to be registered.
    """

    model_config = ConfigDict(frozen=True)

    case: Case
    channels: int
    classes: int
    training: Training | None = None
    train_mode: bool = False
    tail: Tail = "all"
    modules: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        case: Case,
        spec: ImageSpec,
        training: Training | None,
        train_mode: bool = False,
        tail: Tail = "all",
    ) -> "StandIn":
        """The stand-in of a case in this process."""
        return cls(
            case=case,
            channels=spec.channels,
            classes=spec.classes,
            training=training if case.method == "retrain" else None,
            train_mode=train_mode,
            tail=tail,
            modules=(models.module(case.model), methods.module(case.method)),
        )

    def prepare(self) -> Step:
        """Make the step, its model and its batch, on the case's device.

        Raises:
            ImportError: a module is not there.
            ValueError: the model or the method is not registered.
        """
        return self.step(self.model())

    def model(self) -> nn.Module:
        """The case's model on its device, drawn there."""
        with torch.device(self.case.device):
            return self.build().to(self.case.device)

    def build(self) -> nn.Module:
        """The case's model on the device that is torch's default."""
        for module in self.modules:
            importlib.import_module(module)
        spec = ImageSpec(self.channels, self.case.image_size, self.classes)
        own = None if self.training is None else self.training.dtype
        return build_model(self.case.model, spec, self.case.seed, own or self.case.dtype)

    def packaged(self) -> Packaged:
        """The case's model on its engine, on the CPU."""
        shape = Shape(self.channels, self.case.image_size, self.classes)
        return packaged(self.build().eval(), shape, self.case.threads)

    def step(self, model: nn.Module) -> Step:
        """The case's step on `model`, which it sets to the mode it needs, and blank batches."""
        if self.training is not None:
            model = laid_out(model.train(), self.training)
            batch = batch_laid_out(next(self._blanks(self.training.batch_size)), self.training)
            optimizer = training_optimizer(model, self.training)
            return optimizer_step(model, batch, optimizer, training_objective(self.training))
        size = self.case.batch_size
        forget, retain = self._blanks(size), self._blanks(size)
        idle = replace(IDLE, tail=self.tail)
        request = Request(model.train(self.train_mode), forget, retain, lambda: [next(forget)], self.classes, idle)
        return first_step(methods.get(self.case.method), request)

    def _blanks(self, batch_size: int) -> Iterator[Batch]:
        """Blank batches without end, each with memory of its own."""
        size, device = self.case.image_size, torch.device(self.case.device)
        while True:
            yield (
                torch.zeros(batch_size, self.channels, size, size, device=device),
                torch.zeros(batch_size, dtype=torch.int64, device=device),
            )
