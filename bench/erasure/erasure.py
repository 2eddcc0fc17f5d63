"""One erasure: which samples are to be forgotten by which model, when that is complete, and the steps that do it."""

import copy
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import torch
from torch import nn

from bench.arms.arm import Hyperparameters, Method, Request, Steps
from bench.arms.table import methods, tuned_as
from bench.base.seeds import drawing_by, generator
from bench.erasure.quality import Evaluation, Evaluator
from bench.profiles import UnlearningPlan
from bench.record import Case, Erased, Rate
from bench.run.materials import Materials
from bench.workloads.datasets import ImageData
from bench.workloads.splits import Split, batches_once, endless_batches, split
from zo_core import Trajectory, geometric_steps, unlearn


@dataclass(frozen=True)
class Erasure:
    """An erasure request and all it is judged by.

    Attributes:
        original: the model trained on everything; never changed.
        retrained_model: Retrain's model, never changed; `retrained` is its evaluation, the reference.
        started: the original's evaluation.
        target: the forget accuracy in percent at or below which the erasure is complete: chance for a class scenario,
            else Retrain's.
        evaluate: looks at a model; distance counts from `original`.
        hyperparameters: what the arm is run with; None for an arm that takes no steps.
    """

    case: Case
    plan: UnlearningPlan
    data: ImageData
    split: Split
    original: nn.Module
    started: Evaluation
    retrained_model: nn.Module
    retrained: Evaluation
    target: float
    evaluate: Evaluator
    hyperparameters: Hyperparameters | None

    @property
    def untrained(self) -> str | None:
        """Why nothing can be said: a model that was to have learned did not; None if both did.

        Learned means finite losses, and on the retain set a tenth of the way from chance to perfection.
        """
        chance = 100 / len(self.data.classes)
        for name, seen in (("the original", self.started), ("Retrain", self.retrained)):
            if not seen.finite or seen.retain_accuracy < chance + (100 - chance) / 10:
                found = f"retain accuracy {seen.retain_accuracy:.1f} %, loss {seen.retain_loss:.3g}"
                return f"{name} has not learned: {found}; change [unlearning.training] in the profile"
        return None

    @property
    def accuracies(self) -> str:
        """Of the original and of Retrain, in a line: it shows most mistakes in data and preprocessing."""
        both = (("the original", self.started), ("Retrain", self.retrained))
        return "; ".join(
            f"{name} has {seen.retain_accuracy:.1f} % on the retain set, {seen.forget_accuracy:.1f} % on the forget "
            f"set, {seen.test_accuracy:.1f} % on test data"
            for name, seen in both
        )

    @property
    def erased(self) -> Erased:
        """Which samples are to be forgotten."""
        words = [self.data.fingerprint, *map(str, self.split.forget.tolist())]
        digest = sha256("\n".join(words).encode()).hexdigest()
        return Erased(samples=len(self.split.forget), of=len(self.data.train_labels), digest=digest)

    @property
    def rate(self) -> Rate | None:
        """What the arm is run with, for its record."""
        given = self.hyperparameters
        return None if given is None else Rate(lr=given.lr, eps=given.eps if self._method.zeroth_order else None)

    @property
    def chance(self) -> float:
        """Retain accuracy in percent of a model that gives every sample the retain set's commonest label."""
        labels = self.data.train_labels[self.split.retain]
        return 100 * labels.bincount().max().item() / len(labels)

    @property
    def norm(self) -> float:
        """The L2 norm of the original's parameters."""
        return float(torch.cat([parameter.detach().flatten() for parameter in self.original.parameters()]).norm())

    def fresh_model(self) -> nn.Module:
        """A copy of the original model, to be unlearned."""
        return copy.deepcopy(self.original)

    @torch.no_grad()
    def reset(self, model: nn.Module) -> None:
        """Make an unlearned copy the original again, in place."""
        for now, then in zip(model.state_dict().values(), self.original.state_dict().values(), strict=True):
            now.copy_(then)

    def follow(
        self, track: Callable[[Iterable[Any]], Iterable[Any]], horizon: float
    ) -> tuple[Trajectory[Evaluation], float]:
        """The whole run, to completion and `horizon` times as long beyond, evaluated along the way.

        Returns:
            The trajectory, and the forward-equivalents of its steps and of what they took to prepare.
        """
        model = self.fresh_model()
        with self._own_masks():
            arm = self._start(model)
            trajectory = unlearn(
                model,
                arm.optimizer,
                track(arm.batches),
                evaluate=lambda: self.evaluate(model),
                completed=lambda seen: seen.finite and seen.forget_accuracy <= self.target,
                max_steps=self.plan.max_steps,
                horizon=horizon,
                objective=arm.objective,
                train_mode=self.plan.train_mode,
                evaluate_at=geometric_steps(self.plan.resolution),
            )
        return trajectory, self._spent(arm, trajectory.steps[-1])

    def erase(self, model: nn.Module, steps: int) -> float:
        """Just the steps, nothing evaluated; `model` is a fresh one and is changed. Returns forward-equivalents."""
        with self._own_masks():
            arm = self._start(model)
            unlearn(
                model,
                arm.optimizer,
                arm.batches,
                evaluate=lambda: None,
                completed=lambda _: False,
                max_steps=steps,
                objective=arm.objective,
                train_mode=self.plan.train_mode,
                evaluate_at=(),
            )
        return self._spent(arm, steps)

    def _own_masks(self) -> AbstractContextManager[None]:
        """In train mode, dropout draws by the case's seed, whatever was drawn before: the same masks in every run."""
        if not self.plan.train_mode:
            return nullcontext()
        return drawing_by(self.case.seed, torch.device(self.case.device), "dropout")

    def _spent(self, arm: Steps, steps: int) -> float:
        return arm.spent + steps * self._method.forward_equivalents

    def _start(self, model: nn.Module) -> Steps:
        start, case, parts = self._method.start, self.case, self.split
        assert start is not None, "an arm without steps erases nothing"
        assert self.hyperparameters is not None, "the preflight asks for them"
        images, labels = self.data.train_images, self.data.train_labels
        return start(
            Request(
                model,
                forget=endless_batches(
                    images, labels, parts.forget, case.batch_size, generator(case.seed, "forget"), case.device
                ),
                retain=endless_batches(
                    images, labels, parts.retain, case.batch_size, generator(case.seed, "retain"), case.device
                ),
                forget_once=lambda: batches_once(images, labels, parts.forget, case.batch_size, case.device),
                classes=len(self.data.classes),
                hyperparameters=self.hyperparameters,
            )
        )

    @property
    def _method(self) -> Method:
        return methods.get(self.case.method)


def prepare_erasure(case: Case, materials: Materials) -> Erasure:
    """Train what the case needs, or take it from the cache."""
    plan, data = materials.profile.plan_of(case), materials.data_of(case)
    assert case.scenario is not None
    parts = split(data, case.scenario, case.seed)
    original = materials.trained(case, torch.arange(len(data.train_labels)))
    evaluate = Evaluator(data, parts.evaluating(plan.retain_evaluated, case.seed), original)
    retrained_model = materials.trained(case, parts.retain)
    retrained = evaluate(retrained_model)
    chance = 100 / len(data.classes)
    target = retrained.forget_accuracy if parts.forgotten_class is None else chance
    return Erasure(
        case,
        plan,
        data,
        parts,
        original,
        started=evaluate(original),
        retrained_model=retrained_model,
        retrained=retrained,
        target=target,
        evaluate=evaluate,
        hyperparameters=_hyperparameters(case, plan),
    )


def _hyperparameters(case: Case, plan: UnlearningPlan) -> Hyperparameters | None:
    """What the profile gives the case's arm, or the one that it borrows from."""
    tuned = plan.hyperparameters.get(tuned_as(case.method))
    return None if tuned is None else Hyperparameters(tuned.lr, tuned.eps, case.seed)
