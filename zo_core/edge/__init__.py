"""Zeroth-order ascent on an inference engine: nothing is ever differentiated, and torch is never imported on a device.

A workstation exports a network into a package (`export`); a device runs it and changes its weights (`EdgeZO`), with
numpy and ONNX Runtime alone; a receipt says what was done. `python -m zo_core.edge` does all of it from a shell.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zo_core.edge.device.optimizer import EdgeZO
    from zo_core.edge.package import Package, PackageError
    from zo_core.edge.workstation.export import export
    from zo_core.edge.workstation.load import load

__all__ = ["EdgeZO", "Package", "PackageError", "export", "load"]

_HOME = {
    "EdgeZO": "zo_core.edge.device.optimizer",
    "Package": "zo_core.edge.package",
    "PackageError": "zo_core.edge.package",
    "export": "zo_core.edge.workstation.export",
    "load": "zo_core.edge.workstation.load",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "zo_core":
            raise
        extra = "export" if ".workstation." in _HOME[name] else "edge"
        wanted = f"pip install 'zo-unlearning-bench[{extra}]'"
        raise ImportError(f"{__name__}.{name} needs {error.name}: {wanted}") from None
    globals()[name] = value
    return value
