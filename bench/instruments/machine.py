"""What makes two figures comparable: the machine, its software, and the state of the code."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import psutil
import pynvml
import torch

from bench.record import Machine

LIBRARIES = ("torch", "torchvision", "onnxruntime", "codecarbon", "pytest-benchmark")
CPU_INFO = Path("/proc/cpuinfo")
RAPL = Path("/sys/class/powercap")
CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))
CONTAINER_VARIABLES = ("container", "KUBERNETES_SERVICE_HOST")
# What hypervisors call the machines that they make, where the processor does not say that it is a virtual one.
VIRTUAL_PRODUCTS = ("kvm", "qemu", "virtual", "vmware", "hvm", "amazon ec2", "google compute engine", "bochs")


def describe_machine() -> Machine:
    """This machine as it stands."""
    return Machine(
        processor=_processor(),
        architecture=platform.machine(),
        cores=psutil.cpu_count() or 1,
        physical_cores=psutil.cpu_count(logical=False),
        memory_bytes=psutil.virtual_memory().total,
        accelerator=_accelerator(),
        driver=_nvidia_driver(),
        system=f"{platform.system()} {platform.release()}",
        libc=" ".join(platform.libc_ver()).strip() or None,
        container=_is_container(),
        virtual_machine=_is_virtual(),
        rapl=_rapl(),
        python=platform.python_version(),
        versions={library: version(library) for library in LIBRARIES} | _toolkits(),
    )


def describe_commit(root: Path) -> tuple[str | None, bool | None]:
    """The commit checked out at `root` and whether there are changes on top; (None, None) if none is.

    A repository that merely has `root` somewhere in it, as a user's own has a virtual environment, tells nothing of it.
    """
    try:
        if not Path(_git(root, "rev-parse", "--show-toplevel")).samefile(root):
            return None, None
        commit = _git(root, "rev-parse", "HEAD")
        return commit, bool(_git(root, "status", "--porcelain"))
    except (OSError, subprocess.CalledProcessError):
        return None, None


def available_devices() -> list[str]:
    """The devices torch can use here."""
    found = {"cuda": torch.cuda, "mps": torch.mps, "xpu": torch.xpu}
    return ["cpu", *(name for name, backend in found.items() if backend.is_available())]


def _processor() -> str:
    """The model name as Linux tells it, elsewhere as Python does."""
    names = (value for name, value in _cpu_info() if name in ("model name", "Model"))
    return next(names, platform.processor() or platform.machine())


def _cpu_info() -> Iterator[tuple[str, str]]:
    """The entries of Linux's /proc/cpuinfo; none elsewhere."""
    with suppress(OSError):
        for line in CPU_INFO.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            yield name.strip(), value.strip()


def _accelerator() -> str | None:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    if torch.xpu.is_available():
        return torch.xpu.get_device_name()
    return f"{platform.machine()} (Metal)" if torch.mps.is_available() else None


def _nvidia_driver() -> str | None:
    with suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    return None


def _toolkits() -> dict[str, str]:
    """What torch was built for."""
    found = {"CUDA": torch.version.cuda, "ROCm": torch.version.hip}
    return {name: toolkit for name, toolkit in found.items() if toolkit}


def _is_container() -> bool | None:
    """Whether Docker, Podman, Kubernetes or systemd say so; None elsewhere than on Linux."""
    if platform.system() != "Linux":
        return None
    return any(path.exists() for path in CONTAINER_FILES) or any(name in os.environ for name in CONTAINER_VARIABLES)


def _is_virtual() -> bool | None:
    """Whether the processor (x86) or the board says so; None if neither says anything."""
    if any("hypervisor" in value.split() for name, value in _cpu_info() if name == "flags"):
        return True
    try:
        product = Path("/sys/class/dmi/id/product_name").read_text(encoding="utf-8").lower()
    except OSError:
        return None
    return any(name in product for name in VIRTUAL_PRODUCTS)


def _rapl() -> Literal["readable", "not readable", "absent"]:
    counters = list(RAPL.glob("intel-rapl:*/energy_uj"))
    if not counters:
        return "absent"
    return "readable" if all(os.access(counter, os.R_OK) for counter in counters) else "not readable"


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
