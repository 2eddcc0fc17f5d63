"""What pip installs of the suite beside its package: the program `zo-bench`, and its networks for `zo_core.edge`.

It has Python find the suite, and hands over to it.

pip puts it into `zo_unlearning_bench/`. A wheel has the suite beside it there and not among all other packages, so that
neither its `bench` and `reports` nor somebody else's can stand in the other's way. An editable install has it there
alone; Python then finds the clone.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def main() -> int:
    """Run the command line; returns the exit code, 2 if the suite is not to be found."""
    _have_it_found()
    try:
        from bench import commands
    except ImportError:
        found = find_spec("bench")
        instead = "nowhere" if found is None else f"hidden by {found.origin or 'a folder of that name'}"
        sys.stderr.write(f"zo-bench: the suite's package bench is {instead}: install the suite again, without -e\n")
        return 2
    return commands.main()


def network(name: str, weights: str | None, channels: int, size: int, classes: int) -> "nn.Module":
    """A network of the suite's with its weights, for `python -m zo_core.edge export`; raises ValueError."""
    _have_it_found()
    from bench.workloads.models import ImageSpec, build_model
    from bench.workloads.weights import load_weights

    model = build_model(name, ImageSpec(channels, size, classes), seed=0)
    if weights is not None:
        load_weights(model, weights, name)
    return model


def _have_it_found() -> None:
    here = Path(__file__).resolve().parent
    if (here / "bench").is_dir():
        sys.path.insert(0, str(here))
