"""Ten thousand records: the page stays under 5 MB and the drawing under 2 GB. (Time is measured by hand: some 50 s.)"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bench.record import Record
from reports.data.arms import KNOWN
from tests.reports.conftest import step_record, unlearning_record

DRAW = """
import sys
from pathlib import Path
from reports.__main__ import main
code = main(sys.argv[1:])
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
sys.exit(code)
"""
ARMS = KNOWN[:10]


def ten_thousand() -> list[Record]:
    """20 models, 10 batch sizes and 10 arms of steps; 4 scenarios, 10 arms and 200 seeds of erasures."""
    steps = [step_record(arm, 2**power, f"net{n}") for n in range(20) for power in range(10) for arm in ARMS]
    runs = [unlearning_record(arm, seed) for arm in ARMS for seed in range(200)]
    scenarios = [
        run.model_copy(update={"case": run.case.model_copy(update={"scenario": f"class:{label}"})})
        for label in range(4)
        for run in runs
    ]
    return steps + scenarios


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_ten_thousand_records_make_a_page(write_json: Callable[..., Path], tmp_path: Path) -> None:
    path, out = write_json(ten_thousand()), tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(path), "--out", str(out)],
        cwd=Path(__file__).resolve().parents[3],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout.split()[-1]) < 2e6  # kB
    assert (out / "index.html").stat().st_size < 5e6
    assert len(pd.read_csv(out / "results.csv", low_memory=False)) == 10_000
