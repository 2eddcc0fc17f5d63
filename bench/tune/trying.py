"""Trying arms one after the other; each is written down as soon as it is done."""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

from bench.base.paths import ROOT
from bench.base.progress import Progress
from bench.instruments.energy import Meter
from bench.instruments.machine import describe_commit, describe_machine
from bench.profiles import Tuned, TuningPlan
from bench.record import TuningCost
from bench.tune.choice import STANDARD, WORTH, Choice, Score, choose, doubts, scores, standard_failed
from bench.tune.file import Plan, Tuning, put_aside, read_tuning
from bench.tune.search import Pilot, Trial, try_arm

SHALLOW = f"no point goes as deep as {STANDARD} on the whole network: the best of its longest tail"
FAILED = f"a ToW below {WORTH:g} on the whole network: no other arm is held to its depth"


def try_arms(
    arms: Iterable[str],
    tuning: TuningPlan,
    erasures: Callable[[str], Sequence[Pilot]],
    progress: Progress,
    meter: Meter,
    found: Tuning,
    profile: str,
    short: bool = False,
) -> None:
    """Try each arm on its pilot `erasures`, and add what came of it to `found`, in the file beside `profile`.

    See `try_arm` for `short`.
    """
    for arm in arms:
        progress.start_case(arm)
        trials, own = list[Trial](), erasures(arm)
        window = meter.repeat(lambda: trials.extend(try_arm(arm, tuning, own, short)), at_least_s=0.0)  # noqa: B023
        if not window.repeats:
            trials.extend(try_arm(arm, tuning, own, short))
        found.trials += trials
        found.scores += scores(trials)
        found.add_cost(
            TuningCost(
                method=arm,
                seconds=sum(trial.seconds for trial in trials),
                sample_forwards=sum(trial.sample_forwards for trial in trials),
                joules=window.joules,
                basis=None if window.joules is None else window.basis,
            )
        )
        found.write(profile)
        progress.end_case(_said(arm, found.scores, tuning))


def tried_before(profile: str, identity: str, plans: list[Plan], command: str, tell: Callable[[str], None]) -> Tuning:
    """What was tried before in this way, as the file beside the profile has it; empty if nothing was. What was tried in
    another way is put aside, and `tell` is told.

    Raises:
        ValueError: the file cannot be read.
    """
    former = read_tuning(profile)
    if former is not None and former.identity == identity:
        return former.model_copy(update={"command": command, "plans": plans})
    if former is not None:
        tell(f"data, training or grid are not those of the search so far, which is kept as {put_aside(profile)}")
    commit, dirty = describe_commit(ROOT)
    return Tuning(
        identity=identity,
        plans=plans,
        command=command,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        dirty=dirty,
        machine=describe_machine(),
    )


def as_toml(best: Tuned) -> str:
    """What was chosen, as an entry of the profile."""
    return f"{{ {', '.join(f'{name} = {value!r}' for name, value in best.model_dump(exclude_unset=True).items())} }}"


def _said(arm: str, found: list[Score], tuning: TuningPlan) -> str:
    """What was chosen for one arm, plan by plan, with what it is worth and whatever speaks against relying on it."""
    words = []
    for (plan, method), choice in choose(found).items():
        if method == arm:
            failed = [FAILED] if arm == STANDARD and standard_failed(found, plan) else []
            doubt = ", ".join([*_on_depth(choice), *failed, *doubts(choice.score, found, tuning)])
            words.append(_valued(choice.score) + (f" ({doubt})" if doubt else ""))
    return "; ".join(words) or "never complete: its entry in the profile stays as it is"


def _on_depth(choice: Choice) -> list[str]:
    """What the rule of depth had to do with it."""
    shallow = [SHALLOW] if choice.shallow else []
    aside = choice.set_aside
    return shallow if aside is None else [*shallow, f"set aside, as not so deep: {_valued(aside)}"]


def _valued(score: Score) -> str:
    return f"{as_toml(score.tuned)}, ToW {score.tow:.2f}"
