"""How messages name things: in a line, however many there are."""

from collections.abc import Sequence

TOLD = 3  # names in a line


def some_of(names: Sequence[str], told: int = TOLD) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - told} more" if len(names) > told else ""
    return ", ".join(names[:told]) + more
