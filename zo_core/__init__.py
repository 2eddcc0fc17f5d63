"""Gradient ascent for machine unlearning, with and without backpropagation.

`ZOSGD` is an ordinary torch optimizer that estimates its step from two forward passes; `unlearn` drives it, or any
other optimizer, over the forget set; `suggest_lr` measures a learning rate to begin with. They need torch and numpy.
`zo_core.edge` takes the same steps on an inference engine, and `zo_core.receipt` replays them, without torch: names are
imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zo_core.ascent.objectives import Objective, cross_entropy, l1_sparse, microbatched, neggrad_plus
    from zo_core.ascent.plan import geometric_steps
    from zo_core.ascent.rates import suggest_lr
    from zo_core.ascent.replay import replay
    from zo_core.ascent.unlearn import Trajectory, take_step, unlearn
    from zo_core.noise import FreshNoise, GaussianNoise, Noise, PooledNoise, PortableNoise, RademacherNoise
    from zo_core.optim import ZOSGD
    from zo_core.receipt import Receipt

__version__ = "0.6.0"

__all__ = [
    "ZOSGD",
    "FreshNoise",
    "GaussianNoise",
    "Noise",
    "Objective",
    "PooledNoise",
    "PortableNoise",
    "RademacherNoise",
    "Receipt",
    "Trajectory",
    "__version__",
    "cross_entropy",
    "geometric_steps",
    "l1_sparse",
    "microbatched",
    "neggrad_plus",
    "replay",
    "suggest_lr",
    "take_step",
    "unlearn",
]

_HOMES = {
    "zo_core.ascent.objectives": ("Objective", "cross_entropy", "l1_sparse", "microbatched", "neggrad_plus"),
    "zo_core.ascent.plan": ("geometric_steps",),
    "zo_core.ascent.rates": ("suggest_lr",),
    "zo_core.ascent.replay": ("replay",),
    "zo_core.ascent.unlearn": ("Trajectory", "take_step", "unlearn"),
    "zo_core.noise": ("FreshNoise", "GaussianNoise", "Noise", "PooledNoise", "PortableNoise", "RademacherNoise"),
    "zo_core.optim": ("ZOSGD",),
    "zo_core.receipt": ("Receipt",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(_HOME[name]), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError(f"{__name__}.{name} needs torch: pip install 'zo-unlearning-bench[torch]'") from None
    globals()[name] = value
    return value
