"""The arms as every table and figure has them: which are compared, in which order, and which look alike."""

from collections import Counter
from collections.abc import Iterable

FIRST, ZEROTH, MATCHED, HEAD, RETRAIN = "fo-ga", "zo-ga", "fo-ga-matched", "fo-ga-head", "retrain"
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
# A look follows from the place within the family: new arms come last, so that it stays.
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


YARDSTICK, FIRST_ORDER, ZEROTH_ORDER, ON_LABELS, OTHER = FAMILIES = (
    "yardstick",
    "first-order",
    "zeroth-order",
    "descent on labels",
    "other",
)


def family(method: str) -> str:
    """One of `FAMILIES`: what an arm takes its steps by. A user's own arm is of none of ours."""
    if method in ("forward", "forward-movable", RETRAIN, "original"):
        return YARDSTICK
    if method not in KNOWN or method == "subspace":
        return OTHER
    if method.startswith("zo-"):
        return ZEROTH_ORDER
    return FIRST_ORDER if method.startswith("fo-ga") else ON_LABELS


def places(methods: Iterable[str]) -> dict[str, int]:
    """The arms in their order, each with its place in it: the known ones first, then by name."""
    present = set(methods)
    everyone = [*KNOWN, *sorted(present - set(KNOWN))]
    return {name: place for place, name in enumerate(everyone) if name in present}


def places_in_family(methods: Iterable[str]) -> dict[str, int]:
    """The arms in their order, each with its place among all known ones of its family."""
    present = set(methods)
    before = Counter[str]()
    found: dict[str, int] = {}
    for name in places({*KNOWN, *present}):
        found[name] = before[family(name)]
        before[family(name)] += 1
    return {name: place for name, place in found.items() if name in present}
