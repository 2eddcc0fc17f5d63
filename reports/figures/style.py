"""How every figure looks: a colour for each family of arms, and a marker and a line style for each arm of it."""

from collections.abc import Iterable
from dataclasses import dataclass

import matplotlib as mpl

from reports.data.arms import FAMILIES, family, places_in_family

# Okabe and Ito (2008), "Color universal design", without yellow, which does not show on white; those of the families
# darkened until letters in them do (WCAG 2.2, 1.4.3: 4.5 to 1).
PALETTE = ("#000000", "#b84f00", "#0072b2", "#007f5c", "#aa5585", "#e69f00", "#56b4e9")
COLOURS = dict(zip(FAMILIES, PALETTE, strict=False))
# Families begin elsewhere in these, so that their first arms differ in grey, too.
MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d", "8", "H")
DASHES: tuple[tuple[float, ...] | str, ...] = (
    "",
    (4, 1.5),
    (1, 1),
    (3, 1, 1, 1),
    (5, 1, 1, 1, 1, 1),
    (2, 2),
    (6, 2),
    (8, 1),
    (2, 1),
    (1, 3),
    (8, 1, 1, 1),
    (6, 1, 3, 1),
    (3, 3),
    (1, 2, 4, 2),
    (10, 2),
)
BEGINS = dict(zip(FAMILIES, (2, 0, 1, 5, 11), strict=True))


@dataclass(frozen=True)
class ArmStyle:
    """seaborn's `palette`, `markers` and `dashes` for a set of arms, in the order of `order`."""

    order: list[str]
    palette: dict[str, str]
    markers: dict[str, str]
    dashes: dict[str, tuple[float, ...] | str]


def arm_style(methods: Iterable[str]) -> ArmStyle:
    """The same look for an arm in every figure: the known arms first, others after them by name."""
    slot = {name: place + BEGINS[family(name)] for name, place in places_in_family(methods).items()}
    order = list(slot)
    return ArmStyle(
        order,
        {name: COLOURS[family(name)] for name in order},
        {name: MARKERS[slot[name] % len(MARKERS)] for name in order},
        {name: DASHES[slot[name] % len(DASHES)] for name in order},
    )


INK, QUIET, FAINT, LINE, PAPER = "#1b1b1b", "#666666", "#999999", "#dddddd", "#ffffff"
# In the page these follow the reader's light or dark: the custom properties of templates/style.css.
FOLLOWING = {INK: "ink", QUIET: "quiet", FAINT: "quiet", LINE: "line", PAPER: "paper"} | dict(
    zip(PALETTE, ("ink", "first", "zeroth", "labels", "other"), strict=False)
)


def use() -> None:
    """Set matplotlib up: a renderer without a screen, text as shapes, the same bytes at every run."""
    mpl.use("agg")
    mpl.rcParams.update(
        {
            "figure.dpi": 100,
            "savefig.dpi": 150,
            "font.size": 10,
            "text.parse_math": False,  # a dollar sign in a name is a dollar sign
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.color": LINE,
            **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
            "legend.frameon": False,
            "svg.hashsalt": "zo-unlearning-bench",
            "svg.fonttype": "path",
        }
    )
