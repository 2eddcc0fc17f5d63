"""Prefix reuse: what lies before the first parameter that a step moves is computed once, not at every evaluation."""

from zo_core.prefix.chain import share_from, uncut
from zo_core.prefix.reuse import PrefixReuse, Stepper

__all__ = ["PrefixReuse", "Stepper", "share_from", "uncut"]
