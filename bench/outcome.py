"""How a case ended: out of memory is a result, not a crash; and why a figure is missing."""

from collections.abc import Callable

import torch

from bench.record import Case, Kind, Record

MESSAGES = ("can't allocate memory", "out of memory", "not enough memory")

UNMEASURED = {
    "memory.allocator_peak_bytes": "this version keeps the tensor ledger only",
    "memory.process_peak_bytes": "this version keeps the tensor ledger only",
}


def record_or_out_of_memory(kind: Kind, case: Case, model_bytes: int, measure: Callable[[], Record]) -> Record:
    """The record that `measure` makes, or one that says that the memory did not suffice."""
    try:
        return measure()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        notes = {"outcome": str(error).strip().split("\n")[0]}
        return Record(kind=kind, outcome="out-of-memory", case=case, model_bytes=model_bytes, notes=notes)


def is_out_of_memory(error: Exception) -> bool:
    """Whether Python, torch's CPU allocator or an accelerator's ran out of memory."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(message in str(error).lower() for message in MESSAGES)
