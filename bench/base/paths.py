"""Where things are, and what commands are called there.

In a clone all is in the clone. A wheel has what is read in a folder of its own (ROOT); what is written goes into the
folder that one works in.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CLONE = (ROOT / "zo_core").is_dir()  # a wheel puts that elsewhere
WORKPLACE = ROOT if CLONE else Path.cwd()

PROFILES = ROOT / "profiles"
BASELINES = PROFILES / "baselines"
CACHE = WORKPLACE / ".cache"
CHECKPOINTS = CACHE / "checkpoints"
DEFAULT_JSON = WORKPLACE / "reports" / "latest" / "benchmark.json"


def called(name: str) -> str:
    """How the command line `bench.NAME` is called here, for messages."""
    return f"python -m bench.{name}" if CLONE else f"zo-bench {name}"


class InstalledError(ValueError):
    """A file that is not to be written; the message is one line and names the way out."""


def check_own(path: Path, instead: str) -> None:
    """Raise InstalledError if a file that is to be written is part of an installed wheel.

    Args:
        instead: what to do, for the message.
    """
    if not CLONE and path.resolve().is_relative_to(ROOT):
        raise InstalledError(f"{path} is part of the installed package and stays as it is: {instead}")
