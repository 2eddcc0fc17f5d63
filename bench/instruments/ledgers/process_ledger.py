"""The process ledger: the most memory that the operating system saw a process use during one step (Linux's VmHWM).

Each figure comes from a fresh process, so that nothing which was measured before can leak in. Importing torch takes
seconds, so it is imported once, in a server that computes nothing itself; for every case it forks a child, which makes
the case's stand-in, takes one warm step, resets its high-water mark and takes the step that counts.

The server is this module, run as a program: a stand-in a line comes in as JSON, a line of JSON goes out.
"""

import atexit
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from select import select

import torch
from pydantic import BaseModel

from bench.base.paths import ROOT
from bench.instruments.clock import synchronize
from bench.instruments.garbage import no_garbage
from bench.instruments.stand_in import StandIn

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # proc(5), clear_refs
PATIENCE_S = 1800.0  # two steps of a large model on a small board take minutes
LONGEST_ANSWER = 2**16
# glibc then returns what is freed at once, so that what is resident is what is in use.
MALLOC: Mapping[str, str] = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "65536",
}


class ProcessPeak(BaseModel):
    """Resident bytes of a process: its peak during the step, and before it made anything; or why there are none."""

    total: int | None = None
    start: int | None = None
    reason: str | None = None


class _Request(BaseModel):
    stand_in: StandIn
    folder: str
    path: list[str]
    patience_s: float


class ProcessLedger:
    """A running server. It ends when it is closed, or with the process that started it.

    Args:
        patience_s: seconds after which a child that does not answer is ended.
    """

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._server = subprocess.Popen(
            [sys.executable, "-m", "bench.instruments.ledgers.process_ledger"],
            cwd=ROOT,
            env=os.environ | MALLOC,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the one who asks
        )

    def peak(self, stand_in: StandIn) -> ProcessPeak:
        """Measure in a fresh child."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        path = [str(Path(folder).resolve()) for folder in sys.path]
        request = _Request(stand_in=stand_in, folder=str(Path.cwd()), path=path, patience_s=self._patience_s)
        try:
            self._server.stdin.write(request.model_dump_json() + "\n")
            self._server.stdin.flush()
            return ProcessPeak.model_validate_json(self._server.stdout.readline())
        except (OSError, ValueError):
            return ProcessPeak(reason="the process that measures in fresh children has died")

    def close(self) -> None:
        """End the server."""
        self._server.kill()
        with suppress(BrokenPipeError), self._server:  # it may have died over a question
            pass


class NoProcessLedger:
    """Has no figures, where the operating system does not tell them."""

    def peak(self, stand_in: StandIn) -> ProcessPeak:
        """The reason."""
        return ProcessPeak(reason=f"{sys.platform} does not tell a process's peak since a given moment")


@cache
def process_ledger() -> ProcessLedger | NoProcessLedger:
    """The one ledger of this process. The server starts at the first call, and is ready seconds later."""
    if not RESET.exists():
        return NoProcessLedger()
    ledger = ProcessLedger()
    atexit.register(ledger.close)
    return ledger


def _serve() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a model prints is no answer
    gc.collect()
    gc.freeze()  # what all children share is never written to by their collectors
    for line in sys.stdin:
        answers.write(_in_a_child(_Request.model_validate_json(line)) + "\n")


def _in_a_child(request: _Request) -> str:
    """What a forked child answers, or how it ended if it did not answer."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, _answer(request).model_dump_json().encode())
        os._exit(0)
    os.close(write)
    in_time = bool(select([read], [], [], request.patience_s)[0])
    said = os.read(read, LONGEST_ANSWER).decode() if in_time else ""
    os.close(read)
    if not in_time:
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    ended = f"was ended by signal {-code}" if code < 0 else f"left with exit code {code} and no answer"
    reason = ended if in_time else f"had not answered after {request.patience_s:g} s"
    return said or ProcessPeak(reason=f"the child {reason}").model_dump_json()


def _answer(request: _Request) -> ProcessPeak:
    try:
        os.chdir(request.folder)  # a model may be made of a file there
        sys.path[:] = request.path
        with no_garbage():
            return _measure(request.stand_in)
    except BaseException as error:  # nothing may leave the child but an answer
        message = str(error).strip().split("\n")[0]
        return ProcessPeak(reason=f"the child failed: {type(error).__name__}: {message}")


def _measure(stand_in: StandIn) -> ProcessPeak:
    device = torch.device(stand_in.case.device)
    torch.set_num_threads(stand_in.case.threads)
    start = _resident("VmRSS")
    step = stand_in.prepare()
    step.turn()
    synchronize(device)
    RESET.write_text(RESET_PEAK, encoding="ascii")
    step.turn()
    synchronize(device)
    return ProcessPeak(total=_resident("VmHWM"), start=start)


def _resident(field: str) -> int:
    """A field of /proc/self/status, in bytes; the kernel writes kB and means KiB."""
    lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) * 1024


if __name__ == "__main__":
    _serve()
    os._exit(0)  # without a search for leaks among what is frozen
