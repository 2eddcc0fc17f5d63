"""What the tests of the paper's three claims look at, each against a bound that the profile fixed before the run."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

import pandas as pd

from bench.record import Engine, Rules
from reports.data.arms import CLIPPED, FIRST, MATCHED, ZEROTH
from reports.data.load import PROBE_OF_RETRAIN, PROBED, ratio, value_of


@dataclass(frozen=True)
class Statistic:
    """What a test looks at.

    Attributes:
        claim: which claim it belongs to, with places for the rules' bounds.
        name: in words, with its unit.
        of_pair: the statistic of one seed, from the rows of zeroth- and first-order ascent.
        first: the first-order arm that it is compared with.
        bound: from the rules.
        margin: what counts as a difference, from the rules; None for a ratio.
        above: whether the claim says that the statistic lies above the bound, or at most there.
        zeroth: the zeroth-order arm.
        beside: whether the test is only there where both arms were run.
        engine: what the zeroth-order arm must have run on for it; None for any.
        came_with: the rule that came with the test; a run without it was made before, and is not judged by it.
    """

    claim: str
    name: str
    of_pair: Callable[[pd.Series, pd.Series], float]
    bound: Callable[[Rules], float]
    margin: Callable[[Rules], float] | None = None
    above: bool = True
    first: str = FIRST
    zeroth: str = ZEROTH
    beside: bool = False
    engine: Engine | None = None
    came_with: str = "memory_ratio"


MEMORY = f"Much less memory: {ZEROTH} peaks below {{memory_ratio:g}} of {FIRST}"
QUALITY = (
    f"Competitive unlearning: at completion, the ToW of {ZEROTH} is less than {{tow_margin:g}} below that of {FIRST}, "
    "and a probe of its features less than {depth_margin:g} points farther from Retrain's"
)
STABILITY = f"More stability after completion: {ZEROTH} keeps the retain set longer than {FIRST}"


def _difference(column: str, sign: int = 1) -> Callable[[pd.Series, pd.Series], float]:
    """Zeroth-order minus first-order, or the other way round."""
    return lambda zeroth, first: sign * (value_of(zeroth, column) - value_of(first, column))


def _ratio(column: str) -> Callable[[pd.Series, pd.Series], float]:
    return lambda zeroth, first: ratio(value_of(zeroth, column), value_of(first, column))


def _farther(zeroth: pd.Series, first: pd.Series) -> float:
    """By how much first-order ascent's features are farther from Retrain's than zeroth-order ascent's."""
    ours, theirs = (abs(value_of(row, PROBED) - value_of(row, PROBE_OF_RETRAIN)) for row in (zeroth, first))
    return theirs - ours


def _margin(rule: str, sign: int = 1) -> tuple[Callable[[Rules], float], Callable[[Rules], float]]:
    """The bound, so much above or below no difference, and what counts as one."""
    margin = attrgetter(rule)
    return lambda rules: sign * margin(rules), margin


def _zero(_: Rules) -> float:
    return 0.0


STATISTICS = (
    Statistic(
        MEMORY,
        f"peak of live tensors in a step, {ZEROTH} over {FIRST}",
        _ratio("memory.tensor_peak_bytes"),
        lambda rules: rules.memory_ratio,
        above=False,
        engine="torch",
    ),
    Statistic(
        MEMORY,
        f"peak of the process, {ZEROTH} on the engine over {FIRST} on torch",
        _ratio("memory.process_peak_bytes"),
        lambda rules: rules.memory_ratio,
        above=False,
        engine="onnxruntime",
        came_with="depth_margin",
    ),
    Statistic(
        QUALITY,
        f"ToW, {ZEROTH} minus {FIRST}",
        _difference("quality.tow"),
        *_margin("tow_margin", -1),
    ),
    Statistic(
        QUALITY,
        f"distance of a probe's finds from Retrain's in points, {FIRST} minus {ZEROTH}",
        _farther,
        *_margin("depth_margin", -1),
        came_with="depth_margin",
    ),
    Statistic(
        STABILITY,
        f"time to collapse in T*, {ZEROTH} minus {FIRST}",
        _difference("stability.collapse"),
        *_margin("collapse_margin"),
    ),
    Statistic(
        STABILITY,
        f"slope of the log retain loss in 1/T*, {FIRST} minus {ZEROTH}",
        _difference("stability.loss_slope", -1),
        _zero,
    ),
    Statistic(
        STABILITY,
        f"retain accuracy lost at matched displacement in points, {FIRST} minus {ZEROTH}",
        _difference("stability.drop_at_distance", -1),
        *_margin("drop_margin"),
    ),
    Statistic(
        STABILITY,
        f"retain accuracy lost at matched forget loss in points, {FIRST} minus {ZEROTH}",
        _difference("stability.drop_at_forget_loss", -1),
        *_margin("drop_margin"),
    ),
    Statistic(
        STABILITY,
        f"time to collapse in T*, {ZEROTH} minus {MATCHED}",
        _difference("stability.collapse"),
        *_margin("collapse_margin"),
        first=MATCHED,
    ),
    Statistic(
        STABILITY,
        f"time to collapse in T*, {CLIPPED[0]} minus {CLIPPED[1]}",
        _difference("stability.collapse"),
        *_margin("collapse_margin"),
        first=CLIPPED[1],
        zeroth=CLIPPED[0],
        beside=True,
        came_with="depth_margin",
    ),
)
