"""The former place of `bench.arms.arm`, until 0.3."""

import warnings

from bench.arms.arm import *  # noqa: F403

warnings.warn("bench.method is bench.arms.arm now; the old name goes with 0.3", DeprecationWarning, stacklevel=2)
