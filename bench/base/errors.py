"""What an error says: in one line, and whether it means that memory ran out."""

import torch

MESSAGES = ("can't allocate memory", "out of memory", "not enough memory")


def in_a_line(error: Exception) -> str:
    """The first line of what the error says, behind its kind: `TypeError: it takes no images`."""
    said = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, torch's CPU allocator or an accelerator's ran out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(message in str(error).lower() for message in MESSAGES)
