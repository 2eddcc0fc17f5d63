"""One erasure: which samples are to be forgotten by which model, when that is complete, and the steps that do it."""

import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bench.methods import Hyperparameters, Method, methods
from bench.profile import UnlearningPlan
from bench.quality import Evaluation, Evaluator
from bench.record import Case
from bench.session import Suite
from bench.workloads.datasets import ImageData
from bench.workloads.splits import Split, endless_batches, split
from zo_core import Trajectory, unlearn


@dataclass(frozen=True)
class Erasure:
    """An erasure request and all it is judged by.

    Attributes:
        original: the model trained on everything; never changed.
        retrained: Retrain's evaluation, the reference.
        started: the original's evaluation.
        target: the forget accuracy in percent at or below which the erasure is complete: chance for a class scenario,
            else Retrain's.
        evaluate: looks at a model; distance counts from `original`.
    """

    case: Case
    plan: UnlearningPlan
    data: ImageData
    split: Split
    original: nn.Module
    started: Evaluation
    retrained: Evaluation
    target: float
    evaluate: Evaluator

    @property
    def untrained(self) -> str | None:
        """Why nothing can be said: a model that was to have learned did not; None if both did.

        Learned means finite losses, and on the retain set a tenth of the way from chance to perfection.
        """
        chance = 100 / len(self.data.classes)
        for name, seen in (("original", self.started), ("retrained", self.retrained)):
            if not seen.finite or seen.retain_accuracy < chance + (100 - chance) / 10:
                found = f"retain accuracy {seen.retain_accuracy:.1f} %, loss {seen.retain_loss:.3g}"
                return f"the {name} model has not learned ({found}); change [unlearning.training] in the profile"
        return None

    @property
    def hyperparameters(self) -> Hyperparameters:
        """What the profile gives the case's method."""
        return Hyperparameters(self.plan.learning_rates[self.case.method], self.plan.eps, self.case.seed)

    def fresh_model(self) -> nn.Module:
        """A copy of the original model, to be unlearned."""
        return copy.deepcopy(self.original)

    @torch.no_grad()
    def reset(self, model: nn.Module) -> None:
        """Make an unlearned copy the original again, in place."""
        for now, then in zip(model.state_dict().values(), self.original.state_dict().values(), strict=True):
            now.copy_(then)

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Forget batches without end, on the case's device; the same for every method of a seed."""
        data, case = self.data, self.case
        return endless_batches(
            data.train_images, data.train_labels, self.split.forget, case.batch_size, case.seed, case.device
        )

    def follow(self, track: Callable[[Iterable[Any]], Iterable[Any]]) -> Trajectory[Evaluation]:
        """The whole run, to completion and the profile's horizon beyond, evaluated along the way."""
        model = self.fresh_model()
        return unlearn(
            model,
            self._optimizer(model),
            track(self.batches()),
            evaluate=lambda: self.evaluate(model),
            completed=lambda seen: seen.finite and seen.forget_accuracy <= self.target,
            max_steps=self.plan.max_steps,
            horizon=self.plan.horizon,
            objective=self._method.objective,
        )

    def erase(self, model: nn.Module, steps: int) -> None:
        """Just the steps, nothing evaluated; `model` is a fresh one and is changed."""
        unlearn(
            model,
            self._optimizer(model),
            self.batches(),
            evaluate=lambda: None,
            completed=lambda _: False,
            max_steps=steps,
            objective=self._method.objective,
            evaluate_at=(),
        )

    def _optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        make = self._method.optimizer
        assert make is not None, "an arm without an optimizer takes no steps"
        return make(model, self.hyperparameters)

    @property
    def _method(self) -> Method:
        return methods.get(self.case.method)


def prepare_erasure(case: Case, suite: Suite) -> Erasure:
    """Train what the case needs, or take it from the cache."""
    plan, data = suite.profile.unlearning, suite.data(case.image_size)
    assert plan is not None
    assert case.scenario is not None
    parts = split(data, case.scenario, case.seed)
    original = suite.trained(case, torch.arange(len(data.train_labels)))
    evaluate = Evaluator(data, parts, original)
    retrained = evaluate(suite.trained(case, parts.retain))
    chance = 100 / len(data.classes)
    target = retrained.forget_accuracy if parts.forgotten_class is None else chance
    return Erasure(case, plan, data, parts, original, evaluate(original), retrained, target, evaluate)
