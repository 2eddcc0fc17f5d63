"""How a case ended: out of memory is a result, not a crash, and then a forecast says how much it would have taken."""

from collections.abc import Callable

from bench.base.errors import is_out_of_memory
from bench.forecast.peak import ForecastError, forecast
from bench.instruments.memory import peak_memory
from bench.instruments.stand_in import StandIn
from bench.record import Kind, Memory, Record

MEMORY_ONLY = "only the memory was measured (--memory-only)"


def record_or_out_of_memory(kind: Kind, stand_in: StandIn, model_bytes: int, measure: Callable[[], Record]) -> Record:
    """The record that `measure` makes, or one that says that the memory did not suffice."""
    try:
        return measure()
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        outcome = str(error).strip().split("\n")[0] or "out of memory"
    memory, notes = _forecast_memory(stand_in)
    return Record(
        kind=kind,
        outcome="out-of-memory",
        case=stand_in.case,
        model_bytes=model_bytes,
        memory=memory,
        notes=notes | {"outcome": outcome},
    )


def memory_alone(kind: Kind, stand_in: StandIn, model_bytes: int) -> Record:
    """The record of a run that measures nothing but memory."""
    memory, notes = peak_memory(stand_in)
    missing = dict.fromkeys(("time", "energy", "quality", "completion", "curve"), MEMORY_ONLY)
    return Record(
        kind=kind, outcome="ok", case=stand_in.case, model_bytes=model_bytes, memory=memory, notes=notes | missing
    )


def _forecast_memory(stand_in: StandIn) -> tuple[Memory, dict[str, str]]:
    """What the step would have taken, and why that cannot be told, under the figure's name."""
    try:
        peak = forecast(stand_in)
    except ForecastError as error:
        return Memory(), {"memory.tensor_peak_bytes": str(error)}
    return Memory(tensor_peak_bytes=peak.total, tensor_by_category=peak.by_category, tensor_basis="forecast"), {}
