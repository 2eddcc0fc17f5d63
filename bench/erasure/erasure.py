"""One erasure: which samples are to be forgotten by which model, when that is complete, and the steps that do it."""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import torch
from torch import nn

from bench.arms.arm import Hyperparameters, Method, Request, Steps, begin
from bench.arms.engine import Shape, begin_on_engine
from bench.arms.table import methods
from bench.base.seeds import drawing_by, generator
from bench.erasure.quality.evaluation import Evaluation, Evaluator
from bench.profiles import UnlearningPlan
from bench.record import Accuracies, Case, Erased, ModelFile, Origins, Rate, Tail
from bench.run.materials import Materials
from bench.workloads.images.samples import ImageData
from bench.workloads.requests import erased
from bench.workloads.splits import Split, batches_once, endless_batches, split
from zo_core import Trajectory, geometric_steps, unlearn
from zo_core.ascent.plan import steps_after
from zo_core.ascent.tail import tail_of
from zo_core.prefix import share_from, uncut
from zo_core.receipt import Receipt

T = TypeVar("T")

CHANGE_TRAINING = "change [unlearning.training] in the profile"
FEW, TELLING = 20, 5.0  # samples, and points between what a model has seen and what it has not, that tell something


@dataclass(frozen=True)
class Followed:
    """A run from the original to its end.

    Attributes:
        trajectory: what was seen of it.
        forwards: forward-equivalents of its steps and of what they took to prepare.
        whole: why all passes count as whole ones, though but a part of the network moved, or what lies before it was to
            be kept; None where nothing was in the way.
    """

    trajectory: Trajectory[Evaluation]
    forwards: float
    whole: str | None


@dataclass(frozen=True)
class Taken:
    """Steps that were taken; to find out takes time that is none of theirs.

    Attributes:
        forwards: tells the forward-equivalents.
        receipt: tells what they did; None where they do not replay.
    """

    forwards: Callable[[], float]
    receipt: Callable[[], Receipt | None]


@dataclass(frozen=True)
class Erasure:
    """An erasure request and all it is judged by.

    Attributes:
        original: the model trained on everything; never changed.
        retrained_model: Retrain's model, never changed; `retrained` is its evaluation, the reference; None where there
            is no Retrain.
        origins: the files that the two came from, if from files.
        started: the original's evaluation.
        target: the forget accuracy in percent at or below which the erasure is complete, as the profile's
            `target_accuracy` has it.
        evaluate: looks at a model; distance counts from `original`.
        follow_by: looks at it along the way, at fewer samples if the profile says so; T* is found by it.
        watch_by: looks at it from T* on, at as many of the retain set as `evaluate`.
        known: what was found out about `original` and `retrained_model`, for all arms of a seed; see `of_ends`.
        hyperparameters: what the arm is run with; None for an arm that takes no steps.
    """

    case: Case
    plan: UnlearningPlan
    data: ImageData
    split: Split
    original: nn.Module
    started: Evaluation
    retrained_model: nn.Module | None
    retrained: Evaluation | None
    origins: Origins
    target: float
    evaluate: Evaluator
    follow_by: Evaluator
    watch_by: Evaluator
    hyperparameters: Hyperparameters | None
    known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def untrained(self) -> str | None:
        """Why nothing can be said: a model that was to have learned did not; None if both did.

        Learned means finite losses, and on the retain set a tenth of the way from chance to perfection.
        """
        chance = 100 / len(self.data.classes)
        for name, seen, source in self._learned:
            if not seen.finite or seen.retain_accuracy < chance + (100 - chance) / 10:
                found = f"retain accuracy {seen.retain_accuracy:.1f} %, loss {seen.retain_loss:.3g}"
                wrong = f"check [data] for {source.name}, its classes, too" if source else CHANGE_TRAINING
                return f"{name} has not learned: {found}; {wrong}"
        return None

    @property
    def _learned(self) -> Iterator[tuple[str, Evaluation, ModelFile | None]]:
        """The models that were to have learned, as they were seen, and where they come from."""
        yield "the original", self.started, self.origins.original
        if self.retrained is not None:
            yield "Retrain", self.retrained, self.origins.retrained

    @property
    def accuracies(self) -> str:
        """Of the original and of Retrain, in a line: it shows most mistakes in data and preprocessing."""
        return "; ".join(
            f"{name} has {seen.retain_accuracy:.1f} % on the retain set, {seen.forget_accuracy:.1f} % on the forget "
            f"set, {seen.test_accuracy:.1f} % on test data"
            for name, seen, _ in self._learned
        )

    @property
    def known_accuracies(self) -> Accuracies:
        """Of the original, for the record."""
        seen = self.started
        return Accuracies(forget=seen.forget_accuracy, retain=seen.retain_accuracy, test=seen.test_accuracy)

    @property
    def doubt(self) -> str | None:
        """What speaks against a Retrain from a file: it is as right on the forget set as on what it learned from.

        A class that it never saw is looked at beforehand (`check_weights`); of other samples a model is as sure as of
        test data if it never saw them.
        """
        seen, retrained = len(self.split.forget), self.retrained
        if retrained is None or self.origins.retrained is None or seen < FEW or self.split.forgotten_class is not None:
            return None
        learned, unseen = retrained.retain_accuracy, retrained.test_accuracy
        if learned - unseen < TELLING or retrained.forget_accuracy < (learned + unseen) / 2:
            return None
        return (
            f"Retrain is right on {retrained.forget_accuracy:.1f} % of the forget set, {learned:.1f} % of the retain "
            f"set and {unseen:.1f} % of test data: has it seen what is to be forgotten?"
        )

    @property
    def reference(self) -> Evaluation:
        """What a good erasure comes near to: Retrain, or, without one, the original at the target."""
        return self.retrained or replace(self.started, forget_accuracy=self.target)

    @property
    def erased(self) -> Erased:
        """Which samples are to be forgotten."""
        return erased(self.data, self.split.forget, self.target)

    def of_ends(self, name: str, look: Callable[[nn.Module], T]) -> tuple[T, T | None]:
        """What is seen in the original and in Retrain, which an erasure lies between; once for all arms of a seed.

        Args:
            name: of what is looked for.
        """
        return _once(self.known, name, look, self.original, self.retrained_model)

    def beside_ends(self, name: str, look: Callable[[nn.Module], T], model: nn.Module) -> tuple[T, T, T | None]:
        """What is seen in `model`, in the original and in Retrain; in Retrain's own model but once."""
        original, retrained = self.of_ends(name, look)
        own = retrained if model is self.retrained_model else None
        return (look(model) if own is None else own), original, retrained

    @property
    def rate(self) -> Rate | None:
        """What the arm is run with, for its record."""
        given = self.hyperparameters
        if given is None:
            return None
        eps = given.eps if self._method.zeroth_order else None
        return Rate(lr=given.lr, eps=eps, tail=self._tail)

    @property
    def chance(self) -> float:
        """Retain accuracy in percent of a model that gives every sample the retain set's commonest label."""
        labels = self.data.train.labels[self.split.retain]
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

    def follow(self, model: nn.Module, track: Callable[[Iterable[Any]], Iterable[Any]], horizon: float) -> Followed:
        """The whole run, to completion and `horizon` times as long beyond, evaluated along the way.

        Args:
            model: a fresh one; it is left as the last step leaves it.

        """
        with self._own_masks():
            arm = self._start(model)
            trajectory = unlearn(
                model,
                arm.optimizer,
                track(arm.batches),
                evaluate=self._following(model),
                completed=self._complete,
                max_steps=self.plan.max_steps,
                horizon=horizon,
                objective=arm.objective,
                train_mode=self.plan.train_mode,
                evaluate_at=geometric_steps(self.plan.resolution),
                evaluate_after=lambda completed: steps_after(completed, self.plan.resolution),
            )
        whole = arm.whole()
        if whole is None and arm.forwards is None and self._tail != "all":
            whole = uncut(self.original)
        return Followed(trajectory, self._spent(arm, trajectory.diverged or trajectory.steps[-1]), whole)

    def _complete(self, seen: Evaluation) -> bool:
        return seen.finite and seen.forget_accuracy <= self.target

    def _following(self, model: nn.Module) -> Callable[[], Evaluation]:
        """Looks at the model along the way; from completion on, more closely at what is to be kept."""
        look = self.follow_by

        def looked() -> Evaluation:
            nonlocal look
            seen = look(model)
            if look is self.watch_by or not self._complete(seen):
                return seen
            look = self.watch_by
            return look(model)

        return looked

    def erase(self, model: nn.Module, steps: int) -> Taken:
        """Just the steps, nothing evaluated; `model` is a fresh one and is changed."""
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
        return Taken(partial(self._spent, arm, steps), arm.receipt)

    def _own_masks(self) -> AbstractContextManager[None]:
        """In train mode, dropout draws by the case's seed, whatever was drawn before: the same masks in every run."""
        if not self.plan.train_mode:
            return nullcontext()
        return drawing_by(self.case.seed, torch.device(self.case.device), "dropout")

    def _spent(self, arm: Steps, steps: int) -> float:
        """Forward-equivalents; a backward pass counts two of the part of the network that it goes through."""
        whole = self._method.forward_equivalents
        backward = 0 if self._method.zeroth_order else whole // 3
        step = whole - 2 * backward * (1 - self._share)
        taken = steps * step if arm.forwards is None else arm.forwards()
        return taken + arm.spent + 2 * self._share * arm.backward

    def _start(self, model: nn.Module) -> Steps:
        case, parts = self.case, self.split
        assert self.hyperparameters is not None, "the preflight asks for them"
        images, labels = self.data.train.images, self.data.train.labels
        request = Request(
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
        if case.engine == "torch":
            return begin(self._method, request)
        spec = self.data.spec
        return begin_on_engine(case.method, request, Shape(spec.channels, spec.size, spec.classes), case.threads)

    @property
    def _tail(self) -> Tail:
        """How much of the network the arm moves."""
        assert self.hyperparameters is not None, "the preflight asks for them"
        return self._method.tail_of(self.hyperparameters.tail)

    @cached_property
    def _share(self) -> float:
        """Which share of the network's work a backward pass goes through."""
        if self._tail == "all":
            return 1.0
        one = self.data.train.images[torch.arange(1)].to(self.case.device)
        return share_from(self.original, tail_of(self.original, self._tail), one)

    @property
    def _method(self) -> Method:
        return methods.get(self.case.method)


def prepare_erasure(case: Case, materials: Materials) -> Erasure:
    """Train what the case needs, or take it from the cache."""
    plan, data = materials.profile.plan_of(case), materials.data_of(case)
    assert case.scenario is not None
    parts = split(data, case.scenario, case.seed)
    original, retrained = materials.original(case), materials.retrained(case, parts.retain)
    judged = parts.evaluating(plan.retain_evaluated, case.seed)
    evaluate = Evaluator(data, judged, original.model, case.batch_size)
    some = judged.following(plan.followed_on, case.seed)
    follow_by, watch_by = evaluate, evaluate
    if some is not judged:
        follow_by, watch_by = evaluate.on(some), evaluate.on(replace(some, retain=judged.retain))
    known = materials.known_of(case)
    ends = original.model, retrained.model if retrained else None
    started, reference = _once(known, "judged", evaluate, *ends)
    followed = _once(known, "judged" if follow_by is evaluate else "followed", follow_by, *ends)
    return Erasure(
        case,
        plan,
        data,
        parts,
        original.model,
        started=started,
        retrained_model=retrained.model if retrained else None,
        retrained=reference,
        origins=Origins(original=original.source, retrained=retrained.source if retrained else None),
        target=_target(plan, parts, followed, chance=100 / len(data.classes)),
        evaluate=evaluate,
        follow_by=follow_by,
        watch_by=watch_by,
        hyperparameters=_hyperparameters(case, plan),
        known=known,
    )


def _once(
    known: dict[str, Any], name: str, look: Callable[[nn.Module], T], original: nn.Module, retrained: nn.Module | None
) -> tuple[T, T | None]:
    """What is seen in both; from what is `known`, if it was looked for before."""
    if name not in known:
        known[name] = look(original), None if retrained is None else look(retrained)
    found: tuple[T, T | None] = known[name]
    return found


def _target(plan: UnlearningPlan, parts: Split, ends: tuple[Evaluation, Evaluation | None], chance: float) -> float:
    """Where the erasure is complete: what the profile says, or chance for a class, else Retrain's, if there is one.

    Args:
        ends: the original and Retrain, as an erasure is followed.
    """
    started, retrained = ends
    if plan.target_accuracy == "test":
        return started.test_accuracy
    if plan.target_accuracy is not None:
        return plan.target_accuracy
    return chance if parts.forgotten_class is not None or retrained is None else retrained.forget_accuracy


def _hyperparameters(case: Case, plan: UnlearningPlan) -> Hyperparameters | None:
    """What the profile gives the case's arm."""
    tuned = plan.hyperparameters.get(case.method)
    return None if tuned is None else Hyperparameters(tuned.lr, tuned.eps, case.seed, tuned.tail)
