"""What makes two figures comparable: the machine, its software, and the state of the code."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from bench.record import Machine

LIBRARIES = ("torch", "torchvision", "codecarbon", "pytest-benchmark")


def describe_machine() -> Machine:
    """This machine as it stands."""
    return Machine(
        processor=_processor(),
        cores=psutil.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        accelerator=torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        versions={library: version(library) for library in LIBRARIES},
    )


def describe_commit(root: Path) -> tuple[str | None, bool | None]:
    """The commit checked out at `root` and whether there are changes on top; (None, None) outside git."""
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit, bool(_git(root, "status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def available_devices() -> list[str]:
    """The devices torch can use here."""
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices.append("cuda")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return devices


def _processor() -> str:
    """The model name as Linux tells it, elsewhere as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(names, platform.processor() or platform.machine())


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
