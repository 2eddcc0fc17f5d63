"""The whole erasures: which completed, and what they cost, also beside Retrain and in CO2e, by setting and arm."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import pandas as pd

from reports.data.arms import FIRST, HEAD, RETRAIN, ZEROTH, places
from reports.data.load import MIB, PROBED

JOULES_PER_KWH = 3.6e6
SHARED = {
    "sample-forwards": "completion.sample_forwards",
    "time": "completion.seconds",
    "energy": "completion.joules",
    "peak": "mib",
}
QUALITIES = {"UA": "quality.ua", "RA": "quality.ra", "TA": "quality.ta", "MIA": "quality.mia", "probe": PROBED}


@dataclass(frozen=True)
class ArmRuns:
    """An arm's runs in a setting.

    Attributes:
        setting, arm: model, data, batch size and scenario; what was run there.
        runs, done: a row a seed; those that reached completion, and had something to forget.
    """

    setting: str
    arm: str
    runs: pd.DataFrame
    done: pd.DataFrame

    @property
    def name(self) -> str:
        """The arm, with the part of the network that it moved, if that is not all, and a batch size of its own."""
        return ", ".join([self.arm, *self._apart])

    @property
    def _apart(self) -> Iterator[str]:
        if self.arm != RETRAIN:
            tails = self.runs["rate.tail"].dropna().unique()
            yield from (f"last {tail}" for tail in tails if tail != "all")
            own = self.runs.loc[self.runs["batch_tuned"] == True, "batch_size"]  # noqa: E712
            yield from (f"batch {size}" for size in own.unique())

    @property
    def engine(self) -> str:
        """What ran the network."""
        return str(self.runs["engine"].iloc[0])

    @property
    def complete(self) -> str:
        """How many of the runs reached completion, of those that had something to forget."""
        idle = int((self.runs["completion.step"] == 0).sum())
        counts = f"{len(self.done)} of {len(self.runs) - idle}"
        return f"{counts} ({idle} had nothing to forget)" if idle else counts


def completed(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that reached completion, and had something to forget."""
    return runs[(runs["completion.reached"] == True) & (runs["completion.step"] > 0)]  # noqa: E712


def by_arm(rows: pd.DataFrame) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Setting, arm and its rows: settings as they come, arms in the order of every figure."""
    for setting, of_setting in rows.groupby("setting", sort=False):
        of_arms = {str(arm): of_arm for arm, of_arm in of_setting.groupby("method")}
        for arm in places(of_arms):
            yield str(setting), arm, of_arms[arm]


def arm_runs(runs: pd.DataFrame) -> Iterator[ArmRuns]:
    """The runs by setting and arm, in that order."""
    for setting, arm, of_arm in by_arm(runs):
        yield ArmRuns(setting, arm, of_arm, completed(of_arm))


def on_torch(setting: str, engine: str) -> str:
    """The setting that is the same but for the engine, by its name on torch."""
    return setting if engine == "torch" else setting.replace(f" {engine} ", " ", 1)


def by_setting(arms: Sequence[ArmRuns]) -> Iterator[tuple[str, dict[str, ArmRuns]]]:
    """Each setting and its arms by name."""
    for setting, of_setting in groupby(arms, key=attrgetter("setting")):
        yield setting, {one.arm: one for one in of_setting}


def beside_one_another(settings: Mapping[str, Mapping[str, ArmRuns]], name: str) -> list[ArmRuns]:
    """Few arms that stand for a setting, of those that completed there: both ascents, the last layer alone, both of
    what an engine without autograd can, the best of all others by ToW, Retrain.

    Args:
        settings: as `by_setting` has them.
        name: which of them.
    """
    arms = {arm: one for arm, one in settings[name].items() if len(one.done)}
    named = (ZEROTH, FIRST, HEAD, RETRAIN)
    others = [one for arm, one in arms.items() if arm not in named and len(one.done) == len(one.runs)]
    best = max(others, key=lambda one: pd.to_numeric(one.done["quality.tow"]).mean(), default=None)
    elsewhere = _elsewhere(settings, name) if arms else {}
    order = [arms.get(ZEROTH), elsewhere.get(ZEROTH), arms.get(FIRST)]
    order += [arms.get(HEAD), elsewhere.get(HEAD), best, arms.get(RETRAIN)]
    return [one for one in order if one is not None]


def _elsewhere(settings: Mapping[str, Mapping[str, ArmRuns]], name: str) -> dict[str, ArmRuns]:
    """The arms that completed on an engine without autograd, in the setting that is the same."""
    for setting, arms in settings.items():
        engine = next(iter(arms.values())).engine
        if engine != "torch" and on_torch(setting, engine) == name:
            return {arm: one for arm, one in arms.items() if len(one.done)}
    return {}


def with_costs(runs: pd.DataFrame) -> pd.DataFrame:
    """With what follows from the figures of a run and of Retrain with the same setting and seed.

    The columns `mib`, the peak; "... share", a figure over Retrain's; "... gap", a quality minus Retrain's, in points;
    `intensity`, in grams of CO2e a kWh; and `co2e`, in grams, of one request.
    """
    runs = runs.assign(mib=pd.to_numeric(runs["memory.tensor_peak_bytes"]) / MIB)
    retrained = _retrain_of(runs)
    joules = pd.to_numeric(runs["energy.joules_per_step"])
    intensity = pd.to_numeric(runs["energy.co2e_g_per_step"]) / joules * JOULES_PER_KWH
    spent = pd.to_numeric(runs["completion.joules"])
    co2e = (spent * intensity / JOULES_PER_KWH).mask(spent == 0, 0.0)
    shares = {
        f"{column} share": pd.to_numeric(runs[column]) / retrained[column].where(retrained[column] > 0)
        for column in SHARED.values()
    }
    gaps = {f"{column} gap": pd.to_numeric(runs[column]) - retrained[column] for column in _qualities(runs)}
    return runs.assign(intensity=intensity, co2e=co2e, **shares, **gaps)


def _qualities(runs: pd.DataFrame) -> list[str]:
    """The columns of `QUALITIES` that there are: nothing may have been probed."""
    return [column for column in QUALITIES.values() if column in runs]


def _retrain_of(runs: pd.DataFrame) -> pd.DataFrame:
    """Retrain's figures with the same setting and seed for every row; NaN where it was not run."""
    keys, figures = ["setting", "seed"], [*SHARED.values(), *_qualities(runs)]
    retrained = runs[runs["method"] == RETRAIN].set_index(keys)[figures].apply(pd.to_numeric)
    beside: pd.DataFrame = retrained.reindex(pd.MultiIndex.from_frame(runs[keys]))
    return beside.set_axis(runs.index)
