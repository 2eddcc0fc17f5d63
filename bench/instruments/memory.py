"""Peak memory of a case's step in three ledgers, each a pass of its own over a fresh step.

| ledger | counts | file |
|---|---|---|
| tensor | bytes of live tensors, by category | `tensor_ledger.py` |
| allocator | what torch's allocator handed out, kernel scratch included | `allocator_ledger.py` |
| process | what the operating system saw of a process | `process_ledger.py` |
"""

import torch

from bench.instruments.allocator_ledger import allocator_peak
from bench.instruments.process_ledger import process_ledger
from bench.instruments.stand_in import StandIn
from bench.instruments.tensor_ledger import tensor_peak
from bench.record import Memory


def peak_memory(stand_in: StandIn) -> tuple[Memory, dict[str, str]]:
    """The three ledgers, and why a figure is missing, under its name in the record."""
    tensors = tensor_peak(stand_in.prepare)
    allocator = allocator_peak(stand_in.prepare, torch.device(stand_in.case.device))
    process = process_ledger().peak(stand_in)
    memory = Memory(
        tensor_peak_bytes=tensors.total,
        tensor_by_category=tensors.by_category,
        allocator_peak_bytes=allocator.total,
        allocator_basis=allocator.basis,
        process_peak_bytes=process.total,
        process_start_bytes=process.start,
    )
    return memory, {} if process.reason is None else {"memory.process_peak_bytes": process.reason}
