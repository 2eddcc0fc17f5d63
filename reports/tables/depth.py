"""The tables of how deep an erasure went: what is left in the features, what comes back, how sure the model is."""

import re
from collections.abc import Iterator

import pandas as pd

from reports.data.arms import RETRAIN
from reports.data.erasures import by_setting
from reports.data.load import DEPTH, shots_of
from reports.data.part import Part
from reports.data.points import LEAST_MARGINS
from reports.data.words.glossary import PROBE, RELEARNING
from reports.tables.table import Table, number, spread

STILL_KNOWN = "What the network still knows"


def depth_table(part: Part) -> Table | None:
    """What a probe finds of the forgotten in the original, in Retrain and in what each arm left."""
    shots = shots_of(part.runs)
    rows = []
    for setting, arms in by_setting(part.arms):
        done = pd.concat([one.done for one in arms.values()])
        seeds = done[done.filter(regex=f"{re.escape(DEPTH)}.*original").notna().any(axis=1)].drop_duplicates("seed")
        if seeds.empty:
            continue
        models = [("original", seeds, "original"), (RETRAIN, seeds, "retrained")]
        models += [(one.name, one.done, "model") for arm, one in arms.items() if arm != RETRAIN]
        for name, runs, whose in models:
            figures = (spread(runs[f"{DEPTH}{count}.{whose}"], ".1f") for count in shots)
            rows.append((setting, name, *figures))
    note = (
        f"{PROBE} Mean, and least to greatest over the seeds that completed, in percent. It does not see the model's "
        "own answers: where it finds as much as in the original, what was forgotten is hidden in the last layer and "
        f"nothing else; the nearer to {RETRAIN}, the deeper it was forgotten."
    )
    columns = ("setting", "model", *(f"{count} shots" for count in shots))
    return Table(STILL_KNOWN, note, columns, tuple(rows)) if rows else None


def relearning_table(part: Part) -> Table | None:
    """How accuracy on the forgotten comes back by fine-tuning on a few samples."""
    curves = part.relearned
    if curves.empty:
        return None
    steps = sorted(curves["step"].unique())
    rows = tuple(
        (
            str(setting),
            part.names.get((str(setting), str(whose)), str(whose)),
            f"{shots}",
            f"{of_model['n'].max()}",
            *_accuracies(of_model, steps),
        )
        for (setting, shots, whose), of_model in curves.groupby(["setting", "shots", "whose"], sort=False)
    )
    note = (
        f"{RELEARNING} Means over the seeds, in percent, after so many steps. What comes back sooner than in "
        f"{RETRAIN}, which never knew it, was still there."
    )
    columns = ("setting", "model", "shots", "seeds", *(f"after {step}" for step in steps))
    return Table("What comes back by fine-tuning", note, columns, rows)


def _accuracies(curve: pd.DataFrame, steps: list[int]) -> Iterator[str]:
    means = curve.set_index("step")["accuracy"]
    return (number(means.get(step, float("nan")), ".1f") for step in steps)


def margin_table(part: Part) -> Table | None:
    """How far single samples are from where Retrain has them."""
    gaps = part.margin_gaps
    if gaps.empty:
        return None
    rows = tuple(
        (
            str(setting),
            part.names.get((str(setting), str(gap["whose"])), str(gap["whose"])),
            f"{gap['n']}",
            f"{gap['samples']}",
            *(number(gap[name], ".2f") for name in ("shift", "apart", "klom")),
        )
        for setting, of_setting in gaps.groupby("setting", sort=False)
        for _, gap in of_setting.iterrows()
    )
    note = (
        "A sample's margin is the log of the odds, in nats, that the model gives its label; here minus Retrain's of "
        "the same seed, over so many of the forgotten samples: the mean, and the mean distance. KLoM (Georgiev et al. "
        "2024) is how far the normal distribution of a sample's margin over the seeds is from that after retraining, "
        "in nats, the median over the samples. It takes hundreds of models to be exact; here it is of as few as there "
        f"are seeds, and not given where there are fewer than {LEAST_MARGINS}, or each seed has another request: read "
        "it beside the original's."
    )
    columns = ("setting", "model", "seeds", "samples", "surer than Retrain by", "apart from Retrain", "KLoM")
    return Table("How sure the model still is, sample by sample", note, columns, rows)
