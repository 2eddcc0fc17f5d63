"""The commands of a device, each in a process of its own, with numpy, ONNX Runtime and Pillow and nothing else."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

DATA = Path(__file__).parent / "data"
PACKAGE, ERASED = DATA / "package", DATA / "erased"
NEVER = {"torch", "torchvision", "onnx", "onnx_ir", "onnxscript", "safetensors", "bench", "reports"}
LEAVES = f"assert not {NEVER!r} & set(sys.modules), {NEVER!r} & set(sys.modules)"
RUN = f"import sys; from zo_core.edge.__main__ import main; code = main(); {LEAVES}; sys.exit(code)"


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A program, in which a warning is an error."""
    line = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    # The clone is found where it is not installed; where the package is, `tox -e edge` has it find no clone.
    found = {} if "ALONE" in os.environ else {"PYTHONPATH": str(Path(__file__).parents[4])}
    return subprocess.run(line, env=os.environ | found, cwd=DATA, capture_output=True, text=True, check=False)


def edge(*arguments: object) -> str:
    """What a command writes to stdout; it must do its work, say nothing else, and have imported nothing else."""
    done = python(RUN, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures of all classes in folders."""
    draws = np.random.default_rng(0)
    for of_class in ("cat", "dog", "fox"):
        (tmp_path / "pictures" / of_class).mkdir(parents=True)
        for number in range(4):
            pixels = draws.integers(0, 256, (13, 11, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pictures" / of_class / f"{number}.jpg")
    return tmp_path / "pictures"


@pytest.mark.skipif("ALONE" not in os.environ, reason="tox -e edge: an environment without torch")
def test_nothing_of_a_workstation_is_here() -> None:
    from importlib.util import find_spec

    import zo_core

    assert not {name for name in NEVER if find_spec(name) is not None}
    assert "site-packages" in Path(zo_core.__file__).parts


def test_an_erasure_of_another_day_is_verified_and_replayed_to_the_bit(tmp_path: Path) -> None:
    """Whatever the processor, the system and the versions are: so a receipt says."""
    said = edge("verify", PACKAGE, ERASED / "receipt.json")
    assert "20 steps of zo-ga match" in said
    edge("replay", PACKAGE, ERASED / "receipt.json", "--out", tmp_path / "same")
    wanted = np.load(ERASED / "weights.npy")
    assert np.array_equal(np.load(tmp_path / "same" / "weights.npy"), wanted)
    assert not np.array_equal(np.load(PACKAGE / "weights.npy"), wanted)


@pytest.mark.parametrize(
    ("method", "tail"),
    [("zo-ga", "all"), ("zo-ga-blocks", "all"), ("zo-ga-normalized", "block"), ("zo-ga-fast", "layer")],
)
def test_erase_verify_and_replay_to_the_bit(pictures: Path, tmp_path: Path, method: str, tail: str) -> None:
    before, erased, same = hashes(PACKAGE), tmp_path / "erased", tmp_path / "same"
    said = edge(
        "erase", PACKAGE, "--images", pictures, "--lr", 3e-2, "--method", method, "--tail", tail, "--batch-size", 3,
        "--target", 30, "--out", erased,
    )  # fmt: skip
    assert said.startswith("12 images: forget accuracy ")
    steps = json.loads((erased / "receipt.json").read_text())["steps"]
    assert steps > 0
    assert f"{steps} steps of {method} match" in edge("verify", PACKAGE, erased / "receipt.json")
    edge("replay", PACKAGE, erased / "receipt.json", "--out", same)
    assert hashes(same) == hashes(erased)
    assert hashes(PACKAGE) == before


HEAD = """
import sys
import numpy as np
from zo_core.edge.device.methods import optimizer_for
from zo_core.edge import Package
head = optimizer_for(Package(sys.argv[1]), "fo-ga-head", lr=0.1)
head.step(np.ones((2, 3, 8, 8), np.float32), [0, 1])
head.save(sys.argv[2])
"""


def test_the_last_layer_is_erased_by_its_gradient_and_not_replayed(tmp_path: Path) -> None:
    erased = tmp_path / "erased"
    done = python(HEAD + LEAVES, PACKAGE, erased)
    assert (done.returncode, done.stderr) == (0, "")
    assert "cannot be replayed" in edge("verify", PACKAGE, erased / "receipt.json")
    done = python(RUN, "replay", PACKAGE, erased / "receipt.json", "--out", tmp_path / "same")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert not (tmp_path / "same").exists()


@pytest.mark.parametrize("method", ["zo-ga", "zo-ga-fast", "fo-ga-head", "forward-movable"])
def test_measure(method: str) -> None:
    found = json.loads(edge("measure", PACKAGE, "--method", method, "--seconds", 0.01))
    assert found["process_peak_bytes"] >= found["process_start_bytes"] > 0


def test_a_step_in_python(tmp_path: Path) -> None:
    """As the documentation has it; and what a package does not have is told without torch, too."""
    code = f"""
import sys
import numpy as np
from zo_core.edge import EdgeZO, Package, PackageError
from zo_core.receipt import Receipt
optimizer = EdgeZO({str(PACKAGE)!r}, lr=1e-3, seed=7, maximize=True, threads=1)
images = np.zeros((2, 3, 8, 8), np.float32)
print(optimizer.step(images, [0, 1]) > 0, Receipt.from_json(optimizer.receipt().to_json()).steps)
optimizer.save(sys.argv[1])
try:
    optimizer.step(images, [0, 3])
except PackageError as error:
    print(error)
{LEAVES}
"""
    done = python(code, tmp_path / "erased")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["True 1", "labels must be from 0 to 2, not [0, 3]"]
    assert "1 steps of zo-ga match" in edge("verify", PACKAGE, tmp_path / "erased" / "receipt.json")


@pytest.mark.parametrize("command", ["erase", "measure", "replay", "verify"])
def test_help_needs_nothing_else(command: str) -> None:
    done = python(
        f"import sys\ntry:\n from zo_core.edge.__main__ import main; main()\nfinally: {LEAVES}", command, "-h"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m zo_core.edge {command} ")


BLOCKED = "import sys; sys.modules['torch'] = None; "


@pytest.mark.parametrize("command", ["export", "load"])
def test_what_needs_torch_says_so_in_a_line(command: str) -> None:
    done = python(f"{BLOCKED}from zo_core.edge.__main__ import main; sys.exit(main())", command)
    assert (done.returncode, done.stdout) == (2, "")
    wanted = "pip install 'zo-unlearning-bench[export]'\n"
    assert done.stderr in {
        f"{command}: {what} is not installed: {wanted}" for what in ("torch", "onnx_ir", "safetensors")
    }
    done = python(f"{BLOCKED}from zo_core import ZOSGD")
    assert done.stderr.splitlines()[-1] == (
        "ImportError: zo_core.ZOSGD needs torch: pip install 'zo-unlearning-bench[torch]'"
    )


def test_bad_input_is_a_line(pictures: Path, tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(PACKAGE, package)
    (package / "graph.onnx").write_bytes(b"no graph")
    for folder, images in ((package, pictures), (PACKAGE, tmp_path / "nowhere"), (tmp_path / "nowhere", pictures)):
        done = python(RUN, "erase", folder, "--images", images, "--lr", 1, "--out", tmp_path / "erased")
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert not (tmp_path / "erased").exists()
