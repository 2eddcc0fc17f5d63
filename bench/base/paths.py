"""Where things are in a checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PROFILES = ROOT / "profiles"
BASELINES = PROFILES / "baselines"
CHECKPOINTS = ROOT / ".cache" / "checkpoints"
DEFAULT_JSON = ROOT / "reports" / "latest" / "benchmark.json"
