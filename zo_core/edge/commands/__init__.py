"""The commands of `python -m zo_core.edge`, a module each, so that each imports what it needs and no more."""
