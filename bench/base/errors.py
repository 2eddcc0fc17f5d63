"""What an error says: in one line, with some of many names, and whether it means that memory ran out."""

from collections.abc import Sequence

import torch

MESSAGES = ("can't allocate memory", "out of memory", "not enough memory")
TOLD = 3  # names in a line


def some_of(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return ", ".join(names[:TOLD]) + more


def in_a_line(error: Exception) -> str:
    """The first line of what the error says, behind its kind: `TypeError: it takes no images`."""
    said = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, torch's CPU allocator or an accelerator's ran out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(message in str(error).lower() for message in MESSAGES)
