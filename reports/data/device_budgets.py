"""The memory that kinds of devices have for a step: a microcontroller, a small board, a phone's share for one app."""

BUDGETS = {"256 KiB": 256 * 2**10, "64 MiB": 64 * 2**20, "512 MiB": 512 * 2**20}


def smallest_budget(peak: float) -> str:
    """The smallest of the budgets that holds a peak in bytes."""
    return next((name for name, size in BUDGETS.items() if peak <= size), f"more than {list(BUDGETS)[-1]}")
