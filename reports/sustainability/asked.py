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
    """For each request that somebody made, for named samples or of a model of their own, what each arm made of it:
    accuracies before and after, in percent.
    """
    settings = part.originals.index.unique("setting")
    for arm in part.arms:
        first = arm.runs.iloc[0]
        of_own = str(first["scenario"]).startswith("files:") or first["origins.original.name"] is not None
        if of_own and arm.arm != RETRAIN and arm.setting in settings:
            seeds = (arm.runs if arm.done.empty else arm.done)["seed"]
            original: pd.DataFrame = part.originals.reindex([(arm.setting, seed) for seed in seeds])
            yield f"{_asked(part, first)}: {_answer(arm, original.mean())}."


def _asked(part: Part, case: pd.Series) -> str:
    """How many samples, and which: "25 samples named by list.txt"."""
    kind, _, value = str(case["scenario"]).partition(":")
    count = int(case["erased.samples"])
    which = {"files": f" named by {value}", "class": f" of {_class(part, case)}"}.get(kind, " drawn by the seed")
    return f"{count} sample{'s' * (count != 1)}{which}"


def _class(part: Part, case: pd.Series) -> str:
    """The class that a case is to forget, with its name: "class 3 (nine)"."""
    return str(case["scenario"]).replace(":", " ", 1) + class_called(part, case)


def _answer(arm: ArmRuns, original: pd.Series) -> str:
    """What became of a request; `original` has the accuracies of the model that was to forget."""
    was = f"the model was right on {original['forget_accuracy']:.1f} %"
    if (arm.runs["completion.step"] == 0).all():
        target = pd.to_numeric(arm.runs["erased.target"]).mean()
        return f"{was} as it came, where {target:.1f} % was to be reached, so {arm.arm} changed nothing"
    if arm.done.empty:
        return f"not forgotten: {was}, and {arm.arm} did not come to an end"
    wrong, kept, unseen = (pd.to_numeric(arm.done[f"quality.{name}"]).mean() for name in ("ua", "ra", "ta"))
    some = "" if len(arm.done) == len(arm.runs) else f"; {arm.complete} runs came to an end"
    retained = original["retain_accuracy"]
    return (
        f"{was}, and after {arm.arm} is right on {100 - wrong:.1f} %; on what is to be kept it was right on "
        f"{retained:.1f} % and is on {kept:.1f} % ({_change(kept - retained)}); on test data it was right on "
        f"{original['test_accuracy']:.1f} % and is on {unseen:.1f} %{some}"
    )


def _change(points: float) -> str:
    """What became of an accuracy, in points."""
    return f"{abs(points):.1f} points {'lost' if points <= 0 else 'gained'}"


def erased_table(part: Part) -> Table | None:
    """How many samples were to be forgotten, until when, and their hash, by seed; None where that is not on record."""
    known = part.runs.dropna(subset=["erased.samples"]).drop_duplicates(["setting", "seed"])
    rows = tuple(
        (
            str(case["setting"]),
            str(case["seed"]),
            str(case["dataset"]),
            f"{case['erased.samples']:.0f} of {case['erased.of']:.0f}{class_called(part, case)}",
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


def class_called(part: Part, case: pd.Series) -> str:
    """The name of the class that a case's scenario gives by its index, in brackets."""
    name = part.class_name(str(case["dataset"]), str(case["scenario"]))
    return f" ({name})" if name else ""


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
