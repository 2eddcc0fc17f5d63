"""Peak memory of a case's step in three ledgers, each a pass of its own over a fresh step.

| ledger | counts | file |
|---|---|---|
| tensor | bytes of live tensors, by category | `tensor_ledger.py` |
| allocator | what torch's allocator handed out, kernel scratch included | `allocator_ledger.py` |
| process | what the operating system saw of a process | `process_ledger.py`, on an engine `engine_ledger.py` |
"""

import torch

from bench.instruments.ledgers.allocator_ledger import allocator_peak
from bench.instruments.ledgers.engine_ledger import engine_peak
from bench.instruments.ledgers.process_ledger import process_ledger
from bench.instruments.ledgers.tensor_ledger import tensor_peak
from bench.instruments.stand_in import StandIn
from bench.record import Memory


def peak_memory(stand_in: StandIn) -> tuple[Memory, dict[str, str]]:
    """The three ledgers, and why a figure is missing, under its name in the record."""
    if stand_in.case.engine != "torch":
        return _on_engine(stand_in)
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


def _on_engine(stand_in: StandIn) -> tuple[Memory, dict[str, str]]:
    """The process's peak alone: an engine has its memory from neither torch nor its allocator."""
    peak = engine_peak(stand_in)
    elsewhere = f"{stand_in.case.engine} holds its memory, not torch"
    notes = dict.fromkeys(("memory.tensor_peak_bytes", "memory.allocator_peak_bytes"), elsewhere)
    memory = Memory(process_peak_bytes=peak.total, process_start_bytes=peak.start)
    return memory, notes if peak.reason is None else notes | {"memory.process_peak_bytes": peak.reason}
