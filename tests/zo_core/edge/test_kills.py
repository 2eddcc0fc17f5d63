"""An erasure that is killed, interrupted, out of disk or not alone leaves everything as it was."""

import fcntl
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.zo_core.edge.conftest import Forgettable, content, edge, environment
from zo_core.edge import PackageError
from zo_core.edge.files import new_folder
from zo_core.edge.package import LAYOUT

MOMENTS = 20
PATIENCE_S = 60
INTERRUPTED = (130, -signal.SIGINT)
"""The second is CPython's, whatever is returned, where the interrupt went through an `exec` of text, as in `dataclass`;
a shell shows both as 130."""


def command(forgettable: Forgettable, out: Path, lr: float = 1e-4) -> list[str]:
    """An erasure of some tenths of a second; or, without a rate, one that goes on and on."""
    package, pictures, label = forgettable
    endless = ["--steps", "1000000000"] if lr == 0 else []
    arguments = ["--images", pictures, "--label", label, "--lr", lr, *endless, "--out", out]
    return [sys.executable, "-m", "zo_core.edge", "erase", str(package.folder), *map(str, arguments)]


@contextmanager
def at_work(forgettable: Forgettable, out: Path) -> Iterator[subprocess.Popen[str]]:
    """An erasure that has begun and does not end."""
    process = subprocess.Popen(
        command(forgettable, out, lr=0),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # what runs in the background ignores it
    )
    try:
        until = time.monotonic() + PATIENCE_S
        while not locked(forgettable[0].folder / LAYOUT):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.communicate()


def locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def test_an_interrupt_is_a_line_and_nothing_is_written(forgettable: Forgettable, tmp_path: Path) -> None:
    before = content(forgettable[0].folder)
    with at_work(forgettable, tmp_path / "out") as process:
        process.send_signal(signal.SIGINT)
        out, complaint = process.communicate(timeout=PATIENCE_S)
        assert process.returncode in INTERRUPTED
        assert out == ""
        assert complaint == "erase: interrupted; nothing has been written\n"
    assert list(tmp_path.iterdir()) == []
    assert content(forgettable[0].folder) == before


def test_two_at_once_are_refused_and_one_after_the_other_are_not(
    forgettable: Forgettable,
    tmp_path: Path,
) -> None:
    package, pictures, label = forgettable
    line = ("erase", package.folder, "--images", pictures, "--label", label, "--lr", 1e-3, "--out", tmp_path / "other")
    with at_work(forgettable, tmp_path / "out"):
        done = edge(*line)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"erase: {package.folder}: another erasure is at work on this package: wait for it\n"
        assert list(tmp_path.iterdir()) == []
    assert edge(*line).returncode == 0  # whose lock went with it


@pytest.mark.slow
def test_a_kill_at_any_moment_leaves_all_as_it_was_or_all_that_was_asked_for(
    forgettable: Forgettable,
    tmp_path: Path,
) -> None:
    """And once more leads to what it would have led to, with nothing left beside it."""
    before = content(forgettable[0].folder)
    since = time.monotonic()
    subprocess.run(command(forgettable, tmp_path / "whole" / "out"), env=environment(), check=True, capture_output=True)
    takes, wanted = time.monotonic() - since, content(tmp_path / "whole" / "out")
    folder, draws, unfinished = tmp_path / "folder", random.Random(0), 0
    folder.mkdir()
    for moment in range(MOMENTS):
        process = subprocess.Popen(
            command(forgettable, folder / str(moment)),
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(draws.uniform(0, 1.1 * takes))
        process.kill()
        process.wait()
        assert content(forgettable[0].folder) == before
        out = folder / str(moment)
        unfinished += not out.exists()
        assert content(out) == wanted if out.exists() else not out.is_symlink()
        assert all(path.name.startswith(".") or path.name.isdecimal() for path in folder.iterdir())
        if not out.exists():
            subprocess.run(command(forgettable, out), env=environment(), check=True, capture_output=True)
        assert content(out) == wanted
    assert unfinished > MOMENTS // 4
    assert {path.name for path in folder.iterdir()} == set(map(str, range(MOMENTS)))


KILLED = """
import os, signal, sys
from pathlib import Path
from zo_core.edge.files import new_folder
with new_folder(Path(sys.argv[1])) as new:
    (new / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_taken_for_nothing_and_cleared_away(tmp_path: Path) -> None:
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "out"], env=environment(), check=False)
        assert done.returncode == -signal.SIGKILL
        (left,) = tmp_path.iterdir()  # the second time, what the first left is gone
        assert left.name.startswith(".out.part-")
    (tmp_path / ".out.mine").mkdir()
    with new_folder(tmp_path / "out") as new:
        (new / "whole").write_text("whole")
    assert content(tmp_path) == {".out.mine": "folder"} | content(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".out.mine"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["whole"]


def test_what_another_is_at_work_on_is_not_cleared_away_and_the_slower_is_refused(tmp_path: Path) -> None:
    def slower() -> None:
        with new_folder(tmp_path / "out") as mine:
            (mine / "whole").write_text("slower")
            with new_folder(tmp_path / "out") as other:
                (other / "whole").write_text("quicker")
            assert mine.exists()

    with pytest.raises(PackageError, match=r"cannot write .*: Directory not empty; nothing has changed"):
        slower()
    assert (tmp_path / "out" / "whole").read_text() == "quicker"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_error_on_the_way_leaves_no_folder_above_it_either(tmp_path: Path) -> None:
    def write(divisor: int) -> None:
        with new_folder(tmp_path / "some" / "folder" / "out") as new:
            (new / "file").write_text(str(1 / divisor))

    with pytest.raises(ZeroDivisionError):
        write(0)
    assert list(tmp_path.iterdir()) == []
    write(1)
    assert (tmp_path / "some" / "folder" / "out").stat().st_mode & 0o777 == 0o755


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv.pop(1)),) * 2)
from zo_core.edge.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("most_bytes", [0, 100, 50_000])
def test_a_file_that_cannot_be_written_whole_is_a_line(
    forgettable: Forgettable,
    tmp_path: Path,
    most_bytes: int,
) -> None:
    before = content(forgettable[0].folder)
    line = [sys.executable, "-B", "-c", LIMITED, str(most_bytes), *command(forgettable, tmp_path / "out")[3:]]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"erase: cannot write {tmp_path / 'out'}: ")
    assert done.stderr.endswith("; nothing has changed\n")
    assert list(tmp_path.iterdir()) == []
    assert content(forgettable[0].folder) == before


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB, where one may be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("no disk may be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_loses_nothing(forgettable: Forgettable, full_disk: Path) -> None:
    (full_disk / "mine").write_text("mine")
    done = subprocess.run(
        command(forgettable, full_disk / "out"), env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert [path.name for path in full_disk.iterdir()] == ["mine"]
    assert (full_disk / "mine").read_text() == "mine"
