"""How much memory this process had at most, as the operating system saw it."""

import resource
import sys

KIB = 1024


def peak_bytes() -> int:
    """The most memory that this process had at once."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) * KIB
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else KIB  # getrusage(2)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
