"""The arms as every table and figure has them: which are compared, in which order, and which look alike."""

from collections.abc import Iterable

FIRST, ZEROTH, MATCHED, RETRAIN = "fo-ga", "zo-ga", "fo-ga-matched", "retrain"
CLIPPED = "zo-ga-clipped", "fo-ga-clipped"
ASCENTS = (
    FIRST,
    ZEROTH,
    "fo-ga-clipped",
    "zo-ga-clipped",
    MATCHED,
    "fo-ga-head",
    "fo-ga-tail",
    "zo-ga-fast",
    "zo-ga-normalized",
    "zo-ga-blocks",
    "zo-ga-prefix",
    "zo-sign",
    "zo-momentum",
    "zo-adam",
)
# A look follows from the place: new arms come last, so that it stays; every seventh has the same colour, as fo-ga and
# fo-ga-tail do, and zo-ga and zo-ga-fast.
KNOWN = (
    "forward",
    "fo-ga",
    "zo-ga",
    "retrain",
    "fo-ga-checkpoint",
    "fo-ga-accumulate",
    "zo-ga-microbatch",
    "zo-mezo",
    "fo-ga-head",
    "zo-ga-gaussian",
    "fo-ga-clipped",
    "zo-ga-clipped",
    "fo-ga-matched",
    "fo-neggrad-plus",
    "zo-neggrad-plus",
    "finetune",
    "l1-sparse",
    "random-label",
    "salun",
    "zo-ga-blocks",
    "zo-ga-prefix",
    "subspace",
    "fo-ga-tail",
    "zo-ga-fast",
    "zo-sign",
    "zo-momentum",
    "zo-adam",
    "zo-ga-normalized",
)


def places(methods: Iterable[str]) -> dict[str, int]:
    """The arms in their order, each with the number that its look follows from: the known ones first, then by name."""
    present = set(methods)
    everyone = [*KNOWN, *sorted(present - set(KNOWN))]
    return {name: place for place, name in enumerate(everyone) if name in present}
