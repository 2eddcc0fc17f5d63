"""Words that stand in several places of the report."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from bench.record import COLLAPSE_POINTS, RELEARNING_STEPS

SETTING = (
    "A setting, such as cnn digits b32 class:3, is a model, its data, the batch size and what is to be forgotten: "
    "class:K is a class, random:F a random share or number, files:LIST a list of files. Where each arm ran with the "
    "batch size that a search found for it, the setting says own batch, and the tables name it with the arm, as they "
    "do the part of the network that an arm moved, if not all."
)
COMPLETE = (
    "A run is complete at T*, the first evaluation at which the accuracy on what is to be forgotten is at or below "
    "chance (a class) or Retrain's (anything else), unless the profile gives another."
)
ARMS = (
    "fo-ga is gradient ascent on what is to be forgotten, by backpropagation; zo-ga estimates that step from two "
    "forward passes; retrain is training from scratch without what is to be forgotten."
)
RETRAIN_BATCH = "Retrain's peak is that of its training, with the batch size of the profile's training."
SAMPLE_FORWARDS = (
    "Sample-forwards count the work: a forward pass of one sample is 1, a backward pass 2, whatever the batch size."
)
MEASURES = (
    "ToW, the tug of war between forgetting and keeping, is 1 for Retrain itself; retain accuracy is that on the data "
    f"to be kept. {SAMPLE_FORWARDS}"
)
PROBE = (
    "The probe is a linear classifier (ridge regression) on what the last layer is given, fitted to so many training "
    "samples of every class. Where a class is forgotten it is among them, and the probe's figure is the accuracy on "
    "its test data; of any other request the samples are not among them, and it is the accuracy on them. It is the "
    "mean over ten draws of the samples."
)
LAST = RELEARNING_STEPS[-1]  # after which what came back is quoted
RELEARNING = (
    "Fine-tuning is plain SGD on so many training samples of every class, where one was forgotten, and the accuracy "
    "that on unseen samples of it; of any other request it is on so many of the forgotten samples, and the accuracy "
    "that on others of them."
)
ESTIMATED = (
    "Energy is an estimate: processor time times a table power plus a fixed guess for the memory, which counts while "
    "nothing is done, too. It is proportional to the time and adds nothing to it."
)


@dataclass(frozen=True)
class Term:
    """What a word means.

    Attributes:
        name, anchor, text: its entry in the glossary.
        heading: what a heading with it has in its words; None where none has.
        tip: what it means, in a line beside such a heading.
    """

    name: str
    anchor: str
    text: str
    heading: str | None = None
    tip: str = ""


TERMS = (
    Term("Arms", "arms", ARMS),
    Term(
        "forward, prefix, blocks, head, tail",
        "kinds",
        "forward is inference alone, the floor of the cost. fo-ga-head moves the last layer alone, fo-ga-tail the last "
        "stage or less; zo-ga-blocks moves a random 16th of the parameters a step, zo-ga-prefix computes what lies "
        "before it once; zo-ga-fast is that with normalized steps, several a batch.",
    ),
    Term("Setting", "setting", SETTING),
    Term("T*, completion", "completion", COMPLETE),
    Term(
        "ToW",
        "tow",
        "The tug of war between forgetting and keeping: the product over forget, retain and test set of 1 minus the "
        "gap in accuracy to Retrain (Zhao et al. 2024); 1 is Retrain itself.",
        "ToW",
        "tug of war: nearness to the retrained model in accuracy; 1 is Retrain itself",
    ),
    Term(
        "Sample-forwards",
        "sample-forwards",
        SAMPLE_FORWARDS,
        "sample-forwards",
        "work: a forward pass of one sample is 1, a backward pass 2",
    ),
    Term(
        "Peak of the process",
        "process",
        "What the operating system saw of a process that does nothing else: Python, torch or the inference engine "
        "included. The peak of live tensors leaves these out, and is exact.",
        "peak of the process",
        "the most memory the system saw, Python and libraries included",
    ),
    Term("Probe", "probe", PROBE),
    Term("Relearning", "relearned", RELEARNING),
    Term(
        "Two forward passes",
        "two-forwards",
        "Times are ratios to two forward passes of the same model and batch, timed in turn with the step.",
        "two forward",
        "the least that a zeroth-order step can take",
    ),
    Term(
        "Collapse",
        "collapse",
        f"After completion a run goes on; it has collapsed when accuracy on the data to be kept is {COLLAPSE_POINTS:g} "
        "points under its value at T*, or a loss is not finite.",
    ),
)

LEDGER_WORDS = {
    "tensor": (
        "live tensors",
        "Tensor ledger: bytes of live tensors at their peak, parameters and batch included; exact, so there is no "
        "spread.",
    ),
    "allocator": (
        "torch's allocator",
        "Allocator ledger: what torch's allocator had handed out at its peak, kernel scratch included; one run of a "
        "step.",
    ),
    "process": (
        "the process",
        "Process ledger: what the operating system saw of a process that does nothing else, Python and torch "
        "included; one process a case.",
    ),
}


def listed(words: Iterable[str]) -> str:
    """One, two and three."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def distinct(values: pd.Series) -> str:
    """The different words of a column, joined; empty if there are none."""
    return " and ".join(sorted(values.dropna().unique()))


def image_sizes(cases: pd.DataFrame) -> str:
    """Height and width of the images in pixels, each size once."""
    return " or ".join(f"{size}x{size}" for size in sorted(cases["image_size"].unique()))
