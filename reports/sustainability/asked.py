"""What was asked, for whoever asked: what became of the named samples, which they were, and which models forgot."""

from collections.abc import Iterator

import pandas as pd

from reports.data.arms import RETRAIN
from reports.data.erasures import ArmRuns
from reports.data.load import value_of
from reports.data.part import Part
from reports.tables.table import Table, number

SHOWN = 20  # samples of a request
RECEIPTS = (
    "Whoever has the original's weights can take the steps of these erasures again, without the data and to the bit, "
    "from their receipts, which --save-models writes beside the models. A receipt proves that the erased weights "
    "follow from the original's by these steps; not that anything was forgotten, nor on whose data the losses were "
    "seen."
)


def answers(part: Part) -> Iterator[str]:
    """For each request that named its samples, what each arm made of them: accuracies before and after, in percent."""
    start = part.curves[part.curves["step"] == 0].groupby("setting")[["forget_accuracy", "test_accuracy"]].mean()
    for arm in part.arms:
        scenario = str(arm.runs["scenario"].iloc[0])
        if not scenario.startswith("files:") or arm.arm == RETRAIN or arm.setting not in start.index:
            continue
        count = int(arm.runs["erased.samples"].iloc[0])
        asked = f"{count} sample{'s' * (count != 1)} named by {scenario.removeprefix('files:')}"
        yield f"{asked}: {_answer(arm, *start.loc[arm.setting])}."


def _answer(arm: ArmRuns, before: float, unseen: float) -> str:
    """What became of a request: `before` and `unseen` are the original's accuracies on it and on test data."""
    was = f"the model was right on {before:.1f} %"
    if (arm.runs["completion.step"] == 0).all():
        target = pd.to_numeric(arm.runs["erased.target"]).mean()
        return f"{was} as it came, where {target:.1f} % was to be reached, so {arm.arm} changed nothing"
    if arm.done.empty:
        return f"not forgotten: {was}, and {arm.arm} did not come to an end"
    after = 100 - pd.to_numeric(arm.done["quality.ua"]).mean()
    unseen_after = pd.to_numeric(arm.done["quality.ta"]).mean()
    some = "" if len(arm.done) == len(arm.runs) else f"; {arm.complete} runs came to an end"
    return (
        f"{was}, and after {arm.arm} is right on {after:.1f} %; on test data it was right on {unseen:.1f} % and is on "
        f"{unseen_after:.1f} %{some}"
    )


def erased_table(part: Part) -> Table | None:
    """How many samples were to be forgotten, until when, and their hash, by seed; None where that is not on record."""
    known = part.runs.dropna(subset=["erased.samples"]).drop_duplicates(["setting", "seed"])
    rows = tuple(
        (
            str(case["setting"]),
            str(case["seed"]),
            str(case["dataset"]),
            f"{case['erased.samples']:.0f} of {case['erased.of']:.0f}",
            number(value_of(case, "erased.target"), ".1f"),
            str(case["erased.digest"]),
        )
        for _, case in known.iterrows()
    )
    note = (
        "An erasure is complete at the first evaluation at which the accuracy on the samples is at or below the one "
        "given here, in percent. The hash names the samples: SHA-256 over what sha256sum prints of their files, called "
        "as the data call them and sorted by name; sustainability.json has every name and hash. A sample of data "
        "without files is called by its place, and hashed by its pixels."
    )
    columns = ("setting", "seed", "data", "samples", "complete at", "hash")
    return Table("What was to be forgotten", note, columns, rows) if rows else None


def samples_table(part: Part) -> Table | None:
    """The first samples of each request that named them; None where none did."""
    named = part.runs[part.runs["scenario"].str.startswith("files:")].drop_duplicates(["setting", "erased.digest"])
    rows = tuple(
        (str(case["setting"]), sample.name, sample.sha256)
        for _, case in named.iterrows()
        for sample in part.run.requests.get(str(case["erased.digest"]), ())[:SHOWN]
    )
    note = (
        f"Of each request that names its samples the first {SHOWN}; all of them are in sustainability.json. The hash "
        "is that of the file's bytes, as sha256sum prints it."
    )
    return Table("The samples by name", note, ("setting", "file", "SHA-256"), rows) if rows else None


def models_table(part: Part) -> Table | None:
    """The models that came from files; None where all were trained by the suite."""
    rows = tuple(
        (str(case["setting"]), what, str(case[f"origins.{model}.name"]), str(case[f"origins.{model}.sha256"]))
        for _, case in part.runs.drop_duplicates("setting").iterrows()
        for model, what in {"original": "the original", "retrained": "Retrain"}.items()
        if case[f"origins.{model}.name"] is not None
    )
    note = "Where a model came from, if the suite did not train it."
    return Table("Models from files", note, ("setting", "model", "file", "SHA-256"), rows) if rows else None


def receipt_table(part: Part) -> Table | None:
    """The receipt of each erasure that has one; None where none has."""
    known = part.runs.dropna(subset=["receipt_sha256"])
    rows = tuple(
        (str(case["setting"]), str(case["method"]), str(case["seed"]), str(case["receipt_sha256"]))
        for _, case in known.iterrows()
    )
    columns = ("setting", "arm", "seed", "SHA-256 of the receipt")
    return Table("Receipts", RECEIPTS, columns, rows) if rows else None
