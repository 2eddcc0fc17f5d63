"""The runs that are committed with their reports."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reports.data.load import load
from reports.data.part import Part, parts

FOLDER = Path(__file__).resolve().parents[2] / "gallery"


@dataclass(frozen=True)
class Galleries:
    """One run on one device each, by what they are about.

    Attributes:
        step_cost: every arm's single step.
        digits, images: every arm's whole erasure, of digits and of photographs.
        quick: the README's first command.
    """

    step_cost: Part
    digits: Part
    images: Part
    quick: Part

    @cached_property
    def erasures(self) -> dict[str, Part]:
        """Those that the verdicts rest on, by what was unlearned."""
        return {"photographs": self.images, "digits": self.digits}

    @cached_property
    def everything(self) -> dict[str, Part]:
        """All of them by their folder."""
        return {"step-cost": self.step_cost, "digits": self.digits, "images": self.images, "quick": self.quick}


def read_galleries(folder: Path = FOLDER) -> Galleries:
    """Read the benchmark JSON of each.

    Raises:
        UnreadableJsonError: one is missing or cannot be used.
    """
    names = ("step-cost", "digits", "images", "quick")
    return Galleries(*(next(parts(load([folder / name / "benchmark.json"]))) for name in names))
