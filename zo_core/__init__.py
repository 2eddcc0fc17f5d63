"""Gradient ascent for machine unlearning, with and without backpropagation.

The core needs torch and nothing else. `ZOSGD` is an ordinary torch optimizer that estimates its step from two forward
passes; `unlearn` drives it, or any other optimizer, over the forget set; `suggest_lr` measures a learning rate to begin
with.
"""

from zo_core.ascent.objectives import Objective, cross_entropy, l1_sparse, microbatched, neggrad_plus
from zo_core.ascent.rates import suggest_lr
from zo_core.ascent.unlearn import Trajectory, geometric_steps, take_step, unlearn
from zo_core.noise import FreshNoise, GaussianNoise, Noise, PooledNoise, RademacherNoise
from zo_core.optim import ZOSGD

__version__ = "0.4.0"

__all__ = [
    "ZOSGD",
    "FreshNoise",
    "GaussianNoise",
    "Noise",
    "Objective",
    "PooledNoise",
    "RademacherNoise",
    "Trajectory",
    "__version__",
    "cross_entropy",
    "geometric_steps",
    "l1_sparse",
    "microbatched",
    "neggrad_plus",
    "suggest_lr",
    "take_step",
    "unlearn",
]
