"""How a row of numbers is cut: into equal blocks, these into pieces, and which pieces share a window of noise.

Both engines cut by these rules, so that the same direction means the same numbers to them.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple


class Piece(NamedTuple):
    """Consecutive numbers of one parameter: `numbers` of them from `first` on, which are a part of a block."""

    block: int
    parameter: int
    first: int
    numbers: int


def pieces(sizes: Sequence[int], longest: int, blocks: int = 1) -> Iterator[Piece]:
    """Cut parameters of these sizes, in a row, into blocks of equal size but for one number, and these into pieces.

    Args:
        sizes: numbers of each parameter.
        longest: numbers a piece.

    Raises:
        ValueError: there are more blocks than numbers.
    """
    total = sum(sizes)
    if blocks > max(total, 1):
        raise ValueError(f"blocks must be at most the number of trainable parameters, {total}, not {blocks}")
    place, block = 0, 0
    for parameter, size in enumerate(sizes):
        first = 0
        while first < size:
            end = (block + 1) * total // blocks
            numbers = min(longest, size - first, end - place)
            yield Piece(block, parameter, first, numbers)
            first, place = first + numbers, place + numbers
            block += place == end


def runs(sizes: Iterable[tuple[int, Hashable]], window: int) -> Iterator[list[int]]:
    """Consecutive pieces of one kind, by their places, together as many as a window of so many numbers has room for.

    Args:
        sizes: the numbers of each piece, and its kind.
    """
    run: list[int] = []
    left, last = 0, None
    for place, (size, kind) in enumerate(sizes):
        if run and (size > left or kind != last):
            yield run
            run = []
        if not run:
            left, last = window, kind
        run.append(place)
        left -= size
    if run:
        yield run
