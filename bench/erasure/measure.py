"""Measuring a whole unlearning run.

One pass draws the curves and finds T*. The erasure itself, the steps to T* and nothing else, is then run again to be
timed, and again to be metered; its stand-in is weighed.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from pydantic import BaseModel
from torch import nn

from bench.arms.table import methods
from bench.erasure.completion_cost import NOTHING_TO_DO, Cost, cost_to_completion
from bench.erasure.erasure import Erasure, Taken, prepare_erasure
from bench.erasure.quality.depth import depth
from bench.erasure.quality.evaluation import Evaluation, curve, quality
from bench.erasure.quality.margins import margins
from bench.erasure.quality.relearning import relearned
from bench.erasure.stability import stability
from bench.instruments.memory import peak_memory
from bench.profiles import Training
from bench.record import Case, Completion, Curve, Dtype, Quality, Record, Rules, Stability
from bench.run.suite import Suite
from bench.workloads.training.lesson import learn
from zo_core import Trajectory

DROPS = ("drop_at_time", "drop_at_distance", "drop_at_forget_loss")
COARSE = 10  # steps: a T* below that makes relative time coarse
WHOLE, PART = 400, 100  # steps of a training that is timed as a whole, and of a longer one that are timed


def measure_unlearning(case: Case, suite: Suite, benchmark: Any) -> Record:
    """Train or load what the case starts from, and measure what its method does.

    Args:
        benchmark: pytest-benchmark's fixture, which times.
    """
    erasure = prepare_erasure(case, suite.materials)
    suite.tell_once(f"{case.setting} on {case.device}", f"{case.setting}, seed {case.seed}: {erasure.accuracies}")
    if erasure.doubt is not None:
        suite.tell_once(f"doubt about {case.setting}", erasure.doubt)
    if erasure.untrained is not None:
        return _untrained(erasure, suite, erasure.untrained)
    return (measure_retraining if case.method == "retrain" else measure_erasure)(erasure, suite, benchmark)


def _untrained(erasure: Erasure, suite: Suite, reason: str) -> Record:
    """The record of a case that cannot be judged, since the original or Retrain has not learned."""
    memory, notes = peak_memory(suite.materials.stand_in(erasure.case))
    unknown = ("outcome", "time", "energy", "quality", "completion", "stability", "curve")
    return Record(
        kind="unlearning",
        outcome="untrained",
        case=erasure.case,
        erased=erasure.erased,
        original=erasure.known_accuracies,
        origins=erasure.origins,
        model_bytes=suite.model_bytes(erasure.case),
        memory=memory,
        notes=notes | dict.fromkeys(unknown, reason),
    )


def measure_erasure(erasure: Erasure, suite: Suite, benchmark: Any) -> Record:
    """Follow a run to completion and beyond, find what it cost to completion, and let the result relearn."""
    track = suite.materials.tracker("unlearning", None)
    followed = erasure.follow(erasure.fresh_model(), track, erasure.plan.horizon)
    trajectory = followed.trajectory
    model, steps, receipt = erasure.fresh_model(), trajectory.completed, None
    if steps is None:
        cost = Cost(Completion(reached=False), notes=_not_completed(erasure, trajectory))
    elif steps == 0:
        cost = NOTHING_TO_DO
    else:
        taken: list[Taken] = []

        def erase() -> Callable[[], float]:
            taken[:] = [erasure.erase(model, steps)]
            return taken[0].forwards

        cost = cost_to_completion(erase, lambda: erasure.reset(model), steps, erasure.case, suite, benchmark)
        receipt = taken[0].receipt()
    worth, forgotten = _quality(erasure, None if steps is None else model)
    seen = curve(trajectory.steps, trajectory.evaluations)
    diverged_at, divergence = _divergence(trajectory)
    aftermath, after = _stability(erasure, trajectory, seen, suite.profile.rules)
    memory, missing = peak_memory(suite.materials.stand_in(erasure.case))
    explained = {"time": "an erasure is timed as a whole: completion.seconds"} | divergence | forgotten | after
    if followed.whole is not None:
        explained["completion.sample_forwards"] = f"every pass counts as a whole one: {followed.whole}"
    record = Record(
        kind="unlearning",
        outcome="ok" if diverged_at is None else "diverged",
        diverged_at=diverged_at,
        case=erasure.case,
        erased=erasure.erased,
        original=erasure.known_accuracies,
        origins=erasure.origins,
        rate=erasure.rate,
        model_bytes=suite.model_bytes(erasure.case),
        memory=memory,
        energy=cost.energy,
        quality=worth,
        completion=cost.completion,
        stability=aftermath,
        curve=seen,
        receipt_sha256=None if receipt is None else sha256(receipt.to_json().encode()).hexdigest(),
        notes=missing | explained | cost.notes,
    )
    if steps is not None:
        suite.save_model(record, model, receipt)
    return record


def measure_retraining(erasure: Erasure, suite: Suite, benchmark: Any) -> Record:
    """Train without the forget set, anew even where the cache holds the result, to find what that costs; of a long
    training the first steps, which take as long as any.
    """
    case = erasure.case
    lesson = suite.materials.lesson(case, erasure.split.retain)
    assert erasure.retrained_model is not None, "the profile is checked for it"
    timed = lesson.steps if lesson.steps <= WHOLE else PART
    of_a_batch = lesson.training.batch_size / case.batch_size  # a forward-equivalent is a pass of the case's batch
    spent = timed * of_a_batch * methods.get(case.method).forward_equivalents

    def retrain() -> Callable[[], float]:
        learn(lesson, steps=timed)
        return lambda: spent

    learn(lesson, steps=1)  # what only a first step takes is no part of the others
    cost = cost_to_completion(retrain, lambda: None, timed, case, suite, benchmark).of_steps(lesson.steps)
    memory, missing = peak_memory(suite.materials.stand_in(case))
    worth, forgotten = _quality(erasure, erasure.retrained_model)
    notes = {
        "time": "an erasure is timed as a whole: completion.seconds",
        "curve": "retraining does not start from the original model; its result is in quality",
        "stability": "retraining has no time after completion",
    }
    record = Record(
        kind="unlearning",
        outcome="ok",
        case=case,
        erased=erasure.erased,
        original=erasure.known_accuracies,
        origins=erasure.origins,
        model_bytes=suite.model_bytes(case),
        memory=memory,
        energy=cost.energy,
        quality=worth,
        completion=cost.completion,
        notes=missing | notes | forgotten | _trained_otherwise(lesson.training, case.dtype) | cost.notes,
    )
    suite.save_model(record, erasure.retrained_model)
    return record


def _trained_otherwise(training: Training, dtype: Dtype) -> dict[str, str]:
    """Where Retrain's passes are not those of the erasures that its cost is beside."""
    own = [] if training.dtype in (None, dtype) else [f"in {training.dtype}, where erasures run in {dtype}"]
    own += ["with channels last"] if training.channels_last else []
    return {"completion": f"its passes ran {' and '.join(own)}"} if own else {}


def _quality(erasure: Erasure, model: nn.Module | None) -> tuple[Quality | None, dict[str, str]]:
    """The worth of the model at completion, and why a figure of it is missing."""
    if model is None:
        return None, {"quality": "the run did not complete"}
    of_a_class = erasure.split.forgotten_class is not None
    probes, unprobed = depth(erasure, model)
    curves, untaught = relearned(erasure, model)
    sure, unsure = margins(erasure, model)
    worth = quality(erasure.evaluate(model), erasure.retrained, of_a_class, probes, curves, sure)
    reasons = {
        "ta_forgotten": "there are no test data of the class" if of_a_class else "no class is forgotten",
        "mia_auc": "there are no unseen samples of the forget set's kind, or their losses are not finite",
        "tow": "there is no Retrain (retrain = false) to be compared with",
    }
    remarks = {"tow": erasure.doubt, "depth": unprobed, "relearned": untaught, "margins": unsure}
    said = {f"quality.{name}": why for name, why in remarks.items() if why is not None}
    return worth, _missing("quality", worth, reasons) | said


def _stability(
    erasure: Erasure, trajectory: Trajectory[Evaluation], seen: Curve, rules: Rules
) -> tuple[Stability | None, dict[str, str]]:
    """How the run went on, and why a figure of it is missing."""
    if not trajectory.completed:
        return None, {"stability": "there is no time after completion"}
    found = stability(
        seen,
        trajectory.completed,
        erasure.plan.horizon,
        rules,
        erasure.norm,
        erasure.chance,
        trajectory.diverged,
    )
    if found.collapse == 0 and found.collapsed:
        wrecked = "the model had collapsed at completion: its retain accuracy is near chance"
        return found, dict.fromkeys((f"stability.{name}" for name in DROPS), wrecked)
    reasons = {
        "loss_slope": "fewer than two evaluations have a finite retain loss",
        "drop_at_time": "the horizon is shorter",
        "drop_at_distance": "the model did not move so far within the horizon",
        "drop_at_forget_loss": "the forget loss did not rise so high within the horizon",
    }
    steps = trajectory.completed
    coarse = {"stability.collapse": f"T* is step {steps}, so relative time is known to {1 / steps:.0%}"}
    return found, _missing("stability", found, reasons) | (coarse if steps < COARSE else {})


def _missing(group: str, figures: BaseModel, reasons: dict[str, str]) -> dict[str, str]:
    return {f"{group}.{name}": why for name, why in reasons.items() if getattr(figures, name) is None}


def _not_completed(erasure: Erasure, trajectory: Trajectory[Evaluation]) -> dict[str, str]:
    steps = trajectory.steps[-1]
    return {"completion": f"forget accuracy was never at or below {erasure.target:.2f} % in {steps} steps"}


def _divergence(trajectory: Trajectory[Evaluation]) -> tuple[int | None, dict[str, str]]:
    """The step at which a run's loss was not finite, and its note; none for a run whose loss always was."""
    if trajectory.diverged is not None:
        return trajectory.diverged, {"outcome": f"the loss was not finite at step {trajectory.diverged}"}
    seen_from = trajectory.completed or 0  # what was not finite before, and is again, did not end the run
    looks = zip(trajectory.steps, trajectory.evaluations, strict=True)
    step = next((step for step, seen in looks if step >= seen_from and not seen.finite), None)
    return step, {} if step is None else {"outcome": f"the model's losses were not finite after step {step}"}
