"""The program `zo-bench`, as pip installs it: has Python find the suite, and hands over to it.

pip puts it into `zo_unlearning_bench/`. A wheel has the suite beside it there and not among all other packages, so that
neither its `bench` and `reports` nor somebody else's can stand in the other's way. An editable install has it there
alone; Python then finds the clone.
"""

import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> int:
    """Run the command line; returns the exit code, 2 if the suite is not to be found."""
    here = Path(__file__).resolve().parent
    if (here / "bench").is_dir():
        sys.path.insert(0, str(here))
    try:
        from bench import commands
    except ImportError:
        found = find_spec("bench")
        instead = "nowhere" if found is None else f"hidden by {found.origin or 'a folder of that name'}"
        sys.stderr.write(f"zo-bench: the suite's package bench is {instead}: install the suite again, without -e\n")
        return 2
    return commands.main()
