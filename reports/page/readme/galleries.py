"""The runs that are committed with their reports."""

from dataclasses import dataclass, fields
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
        frontier: erasures of both, each arm at its own batch size and on its own part of the network.
        edge: steps and erasures on torch and on an inference engine.
        gpu: single steps on a GPU.
        quick: the README's first command.
    """

    step_cost: Part
    digits: Part
    images: Part
    frontier: Part
    edge: Part
    gpu: Part
    quick: Part

    @cached_property
    def erasures(self) -> dict[str, Part]:
        """Those of every arm, by what was unlearned."""
        return {"photographs": self.images, "digits": self.digits}

    @cached_property
    def judged(self) -> dict[str, Part]:
        """Those that the verdicts rest on: on torch, and on an engine, too."""
        return self.erasures | {"digits on the edge": self.edge}

    @cached_property
    def everything(self) -> dict[str, Part]:
        """All of them by their folder."""
        return {folder: getattr(self, name) for name, folder in _folders().items()}


def read_galleries(folder: Path = FOLDER) -> Galleries:
    """Read the benchmark JSON of each.

    Raises:
        UnreadableJsonError: one is missing or cannot be used.
    """
    return Galleries(
        **{name: next(parts(load([folder / inner / "benchmark.json"]))) for name, inner in _folders().items()}
    )


def _folders() -> dict[str, str]:
    """Where each is, by its attribute."""
    return {field.name: field.name.replace("_", "-") for field in fields(Galleries)}
