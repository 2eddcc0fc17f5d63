"""Progress: a bar on a terminal, plain lines elsewhere."""

import os
import pty
import subprocess
import sys

from bench.base.paths import ROOT

RUN = """
from bench.base import progress
progress.REDRAW_S = progress.PLAIN_LINE_S = 0
shown = progress.Progress(total=2)
shown.start_case("test_x[cnn-b1-zo-ga]")
assert list(shown.track(range(3), "training", 3)) == [0, 1, 2]
shown.end_case("ok")
shown.close()
"""


def test_plain_lines_where_there_is_no_terminal() -> None:
    done = subprocess.run([sys.executable, "-c", RUN], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[:3] == [f"  test_x[cnn-b1-zo-ga]: training, {count} of 3" for count in (1, 2, 3)]
    assert lines[3].startswith("[1/2] test_x[cnn-b1-zo-ga]  ok  ")
    assert "\x1b" not in done.stdout


def test_a_bar_on_a_terminal() -> None:
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    subprocess.run([sys.executable, "-c", RUN], cwd=ROOT, stdout=theirs, check=True, env=environment)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert "test_x[cnn-b1-zo-ga]" in shown
    assert "━" in shown
    assert "3/3" in shown
    assert "\x1b[" in shown
