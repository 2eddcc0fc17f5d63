"""The command line: what cannot be done is said in one line on stderr, with exit code 2, and nothing is written."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import zo_core
from tests.zo_core.edge.conftest import CLASSES, SIZE, Forgettable, Packages, content, edge, network
from tests.zo_core.edge.test_replay import run
from zo_core.edge import Package
from zo_core.edge.device.images import read_image
from zo_core.edge.device.network import OnnxNetwork
from zo_core.edge.package import read_numbers
from zo_core.receipt import Receipt, numbers_hash

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def work(packages: Packages, pictures: Path, tmp_path: Path) -> Path:
    """A folder with a package, pictures, and things that are wrong."""
    shutil.copytree(packages("cnn").folder, tmp_path / "package")
    shutil.copytree(pictures, tmp_path / "pictures")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "no-class" / "zebra").mkdir(parents=True)
    shutil.copy(tmp_path / "pictures" / "a" / "0.png", tmp_path / "no-class" / "zebra")
    (tmp_path / "broken" / "a").mkdir(parents=True)
    (tmp_path / "broken" / "a" / "text.png").write_text("no picture")
    (tmp_path / "file").write_text("a file")
    lists = {
        "absent.txt": "a/0.png\na/9.png",
        "twice.txt": "a/0.png\na/1.png\na/0.png",
        "twice-otherwise.txt": "a/0.png\n./a/../a/0.png",
        "none.txt": "\n\n",
        "other.csv": "file\na/0.png",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "nested.json").write_text("[" * 100_000)
    save_file(network("cnn").state_dict(), tmp_path / "cnn.safetensors")
    return tmp_path


ERASE = "erase package --images pictures --lr 0.01 --out out"
EXPORT = "export --model cnn --image-size 32 --classes 10 --out out"
BAD: list[tuple[str, str]] = [
    ("", "the following arguments are required: COMMAND"),
    ("forget", "argument COMMAND: invalid choice: 'forget'"),
    ("erase package", "the following arguments are required: --images, --lr, --out"),
    (ERASE.replace("package", "nowhere"), "nowhere: no package"),
    (ERASE.replace("package", "empty"), "empty: no package"),
    (ERASE.replace("package", "file"), "file: no package"),
    (ERASE.replace("pictures", "nowhere"), "nowhere: no such folder of images"),
    (ERASE.replace("pictures", "file"), "file: no such folder of images"),
    (ERASE.replace("pictures", "empty"), "empty: no folders that are called like classes in it"),
    (ERASE.replace("pictures", "empty --label a"), "empty: no images in it"),
    (ERASE.replace("pictures", "no-class"), "unknown class 'zebra'; the package has: a, b, c, d, e, f, g, h, i, j"),
    (ERASE.replace("pictures", "pictures/a --label zebra"), "unknown class 'zebra'"),
    (ERASE.replace("pictures", "broken"), "broken/a/text.png: no image that can be read"),
    (f"{ERASE} --request absent.txt", "absent.txt: 1 of its paths are not in pictures: a/9.png"),
    (f"{ERASE} --request twice.txt", "twice.txt: 1 of its paths are there more than once"),
    (f"{ERASE} --request twice-otherwise.txt", "twice-otherwise.txt: 1 of its paths are there more than once"),
    (f"{ERASE} --request none.txt", "none.txt: the list is empty"),
    (f"{ERASE} --request other.csv", "other.csv: it has no column 'path', but: file"),
    (f"{ERASE} --request binary.txt", "binary.txt: it is no text in UTF-8"),
    (f"{ERASE} --request nowhere.txt", "nowhere.txt: No such file or directory"),
    (f"{ERASE} --steps 0", "--steps must be at least 1, not 0"),
    (f"{ERASE} --steps x", "argument --steps: invalid int value: 'x'"),
    (f"{ERASE} --batch-size 0", "--batch-size must be at least 1"),
    (f"{ERASE} --threads 0", "--threads must be at least 1"),
    (f"{ERASE} --target 200", "--target is forget accuracy in percent, from 0 to 100, not 200"),
    (f"{ERASE} --target nan", "--target is forget accuracy in percent"),
    (f"{ERASE} --lr=-1", "lr must be at least 0 and finite, not -1"),
    (f"{ERASE} --lr nan", "lr must be at least 0 and finite, not nan"),
    (f"{ERASE} --lr nan --method fo-ga-head", "lr must be at least 0 and finite, not nan"),
    (f"{ERASE} --eps 0", "eps must be above 0"),
    (f"{ERASE} --seed=-1", "--seed must be an integer in [0, 2**63)"),
    (f"{ERASE} --seed 99999999999999999999 --method fo-ga-head", "--seed must be an integer"),
    (f"{ERASE} --tail half", "argument --tail: invalid choice: 'half'"),
    (f"{ERASE} --tail stage --method fo-ga-head", "fo-ga-head moves the last layer alone"),
    (f"{ERASE} --method sgd", "argument --method: invalid choice: 'sgd'"),
    (ERASE.replace("out out", "out there"), "there is there already"),
    (ERASE.replace("out out", "out file"), "file is there already"),
    (ERASE.replace("out out", "out file/inside"), "is no folder that may be written to"),
    (ERASE.replace("out out", "out package"), "package is there already"),
    ("measure nowhere", "nowhere: no package"),
    ("measure package --batch-size 0", "--batch-size must be at least 1"),
    ("measure package --steps 0", "--steps must be at least 1"),
    ("measure package --seconds nan", "--seconds must be at least 0 and finite"),
    ("measure package --seconds=-1", "--seconds must be at least 0 and finite"),
    ("measure package --inference nowhere.onnx", "nowhere.onnx: ONNX Runtime cannot run it"),
    ("measure package --inference file", "file: ONNX Runtime cannot run it"),
    ("replay package nowhere.json --out out", "nowhere.json: No such file or directory"),
    ("replay package file --out out", "file: it is truncated, or no JSON"),
    ("replay package nested.json --out out", "nested.json: it is truncated, or no JSON"),
    ("replay package empty --out out", "empty: Is a directory"),
    ("replay package package/layout.json --out out", "package/layout.json: it is no receipt of an erasure"),
    ("verify package package/layout.json", "package/layout.json: it is no receipt of an erasure"),
    ("verify package package/weights.npy", "package/weights.npy: it is truncated, or no JSON"),
    ("load package nowhere --weights cnn.safetensors --out out.safetensors", "nowhere: No such file"),
    ("load package package --weights nowhere.pt --out out.safetensors", "weights nowhere.pt: No such file"),
    ("load package package --weights file --out out.safetensors", "weights file: "),
    ("load package package --weights cnn.safetensors --out out.pt", "--out out.pt: call it *.safetensors"),
    ("load package package --weights cnn.safetensors --out cnn.safetensors", "cnn.safetensors is there already"),
    ("load package package --weights cnn.safetensors --out no/folder/out.safetensors", "No such file or directory"),
    (EXPORT.replace("cnn", "nothing"), "unknown model 'nothing'"),
    (EXPORT.replace("cnn", "no.module:network"), "no.module:network"),
    (EXPORT.replace("10", "1"), "two classes or more"),
    (EXPORT.replace("10", "a b a"), "two classes have one name"),
    (EXPORT.replace("32", "0"), ""),
    (f"{EXPORT} --mean 0.5", "mean and std must be 3 finite numbers"),
    (f"{EXPORT} --std 0 0 0", "std above 0"),
    (f"{EXPORT} --resize 8", "no square of 32 pixels can be cut out of images resized to 8"),
    (f"{EXPORT} --resize 40 40 40", "--resize takes the shorter side, or height and width"),
    (f"{EXPORT} --interpolation lanczos", "argument --interpolation: invalid choice"),
    (f"{EXPORT} --weights nowhere.pt", "nowhere.pt"),
    (f"{EXPORT} --weights file", "file"),
    (EXPORT.replace("out out", "out there"), "there is there already"),
]


def refused(capsys: Capture, line: str) -> str:
    """What is said of a command, in one line, and exit code 2."""
    try:
        code, out, said = run(capsys, *line.split())
    except SystemExit as left:  # as argparse leaves
        code, (out, said) = int(str(left.code)), capsys.readouterr()
    assert (code, out, len(said.splitlines())) == (2, "", 1), said
    return said


@pytest.mark.parametrize(("line", "said"), BAD, ids=[line or "nothing" for line, _ in BAD])
def test_what_cannot_be_done_is_one_line_and_nothing_is_written(
    work: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, line: str, said: str
) -> None:
    monkeypatch.chdir(work)
    before = content(work)
    complaint = refused(capsys, line)
    assert complaint.startswith((f"{line.split()[0]}: " if line else "", "python -m zo_core.edge: "))
    assert said in complaint
    assert content(work) == before


FILES = ("layout.json", "weights.npy", "pool.npy", "graph.onnx")
READ = {  # of these files, how many each command reads
    f"{ERASE}": 4,
    "measure package --seconds 0": 4,
    "replay package good/receipt.json --out out": 3,
    "verify package good/receipt.json": 3,
    "load package good --weights cnn.safetensors --out out.safetensors": 2,
}


@pytest.mark.parametrize(("line", "name"), [(line, name) for line, read in READ.items() for name in FILES[:read]])
@pytest.mark.parametrize(
    "damage", [lambda whole: b"", lambda whole: whole[: len(whole) // 2], lambda whole: whole[:-1] + b"\1"]
)
def test_a_damaged_package_is_one_line(
    work: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
    name: str,
    damage: Callable[[bytes], bytes],
) -> None:
    monkeypatch.chdir(work)
    assert run(capsys, *f"{ERASE} --target 100".replace("out out", "out good").split())[0] == 0
    path = work / "package" / name
    path.write_bytes(damage(path.read_bytes()))
    before = content(work)
    assert "package" in refused(capsys, line)
    assert content(work) == before


def test_an_erasure_says_what_it_did_and_others_can_do_it_again(
    forgettable: Forgettable, tmp_path: Path, capsys: Capture
) -> None:
    package, pictures, label = forgettable
    out = tmp_path / "some" / "folder"
    arguments = ("--images", pictures, "--label", label, "--lr", 1e-3, "--batch-size", 4)
    code, said, complaint = run(capsys, "erase", package.folder, *arguments, "--out", out)
    assert (code, complaint) == (0, "")
    summary, written = said.splitlines()
    match = re.fullmatch(
        r"6 images: forget accuracy 100.0 % before, (0.0) % after (\d+) steps; [\d.]+ s \([\d.]+ ms a step\), "
        r"peak of the process \d+ MiB",
        summary,
    )
    assert match
    assert written == f"{out / 'weights.npy'} and {out / 'receipt.json'} are written"
    receipt, weights = Receipt.read(out / "receipt.json"), read_numbers(out / "weights.npy")
    assert receipt.steps == int(match[2]) > 0
    assert receipt.hashes.after == numbers_hash(weights)
    images = np.stack([read_image(path, package.layout.preprocessing) for path in sorted(pictures.iterdir())])
    answers = OnnxNetwork(package, weights=weights).run(images).logits.argmax(axis=1)
    assert not (answers == CLASSES.index(label)).any()
    again = tmp_path / "again"
    assert run(capsys, "erase", package.folder, *arguments, "--out", again)[0] == 0
    assert content(again) == content(out)
    other = tmp_path / "other"
    assert run(capsys, "erase", package.folder, *arguments, "--seed", 1, "--out", other)[0] == 0
    assert content(other) != content(out)


def test_an_erasure_that_is_not_complete_writes_nothing(
    forgettable: Forgettable, tmp_path: Path, capsys: Capture
) -> None:
    package, pictures, label = forgettable
    code, said, complaint = run(
        capsys, "erase", package.folder, "--images", pictures, "--label", label, "--lr", 0, "--steps", 3,
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert (code, len(said.splitlines()), len(complaint.splitlines())) == (1, 1, 1)
    assert "after 3 steps" in said
    assert complaint.startswith("erase: not complete: forget accuracy is above 10 %; nothing has been written")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["zo-ga", "fo-ga-head"])
@pytest.mark.parametrize(("lr", "eps"), [(1e25, 1e-3), (1e35, 1e-3), (1e300, 1e-3), (1e-3, 1e20)])
def test_a_network_that_answers_nothing_any_more_has_not_forgotten(
    forgettable: Forgettable, tmp_path: Path, method: str, lr: float, eps: float
) -> None:
    """In a process of its own, where a warning of numpy's would be another line."""
    package, pictures, label = forgettable
    done = edge(
        "erase", package.folder, "--images", pictures, "--label", label, "--lr", lr, "--eps", eps,
        "--method", method, "--out", tmp_path / "out",
    )  # fmt: skip
    if done.returncode:
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
        assert list(tmp_path.iterdir()) == []
    else:
        assert np.isfinite(read_numbers(tmp_path / "out" / "weights.npy")).all()


def test_a_request_names_its_pictures(
    forgettable: Forgettable, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path a line or a column of CSV, from the folder or from here; folders that begin with a dot are none."""
    package, pictures, label = forgettable
    folder = tmp_path / "pictures"
    shutil.copytree(pictures, folder / label)
    (folder / ".cache").mkdir()
    (folder / ".cache" / "index").touch()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "list.txt").write_text(f"{label}/0.png\n\npictures/{label}/3.png\n")
    (tmp_path / "list.csv").write_text(f"who,path\nme,{label}/0.png\nyou,{label}/3.png\n")
    line = ("erase", package.folder, "--images", folder, "--lr", 1e-3)
    for number, (request, images) in enumerate((("list.txt", 2), ("list.csv", 2), (None, 6))):
        asked = () if request is None else ("--request", request)
        code, said, _ = run(capsys, *line, *asked, "--out", tmp_path / str(number))
        assert (code, said.split(" images: ")[0]) == (0, str(images))
    assert content(tmp_path / "0") == content(tmp_path / "1")


def test_measure_gives_a_line_of_json(packages: Packages, tmp_path: Path, capsys: Capture) -> None:
    from zo_core.edge.workstation.inference import with_weights

    package = packages("cnn")
    before = content(package.folder)
    for method in ("zo-ga", "zo-ga-fast", "fo-ga-head", "forward-movable"):
        code, said, _ = run(capsys, "measure", package.folder, "--method", method, "--seconds", 0.01)
        found = json.loads(said)
        assert (code, len(said.splitlines())) == (0, 1)
        assert 0 < found["process_start_bytes"] <= found["process_peak_bytes"]
        assert found["times_two_forwards_q1"] <= found["times_two_forwards"] <= found["times_two_forwards_q3"]
        assert found["rounds"] >= 5
    with_weights(package, tmp_path / "plain.onnx")
    code, said, _ = run(capsys, "measure", package.folder, "--inference", tmp_path / "plain.onnx")
    assert (code, set(json.loads(said))) == (0, {"process_start_bytes", "process_peak_bytes"})
    assert content(package.folder) == before


def test_export_erase_load_and_back_in_torch(pictures: Path, tmp_path: Path, capsys: Capture) -> None:
    state = network("cnn").state_dict()
    save_file(state, tmp_path / "cnn.safetensors")
    package, erased, loaded = tmp_path / "package", tmp_path / "erased", tmp_path / "loaded.safetensors"
    code, said, _ = run(
        capsys, "export", "--model", "cnn", "--weights", tmp_path / "cnn.safetensors", "--image-size", SIZE,
        "--classes", *CLASSES, "--resize", 40, 38, "--mean", 0.5, 0.5, 0.5, "--std", 0.2, 0.2, 0.2, "--out", package,
    )  # fmt: skip
    assert (code, len(said.splitlines())) == (0, 1)
    assert Package(package).layout.classes == CLASSES
    assert Package(package).layout.preprocessing.resize == (40, 38)
    arguments = ("--images", pictures, "--lr", 1e-3, "--target", 100)
    assert run(capsys, "erase", package, *arguments, "--out", erased)[0] == 0
    weights = ("--weights", tmp_path / "cnn.safetensors")
    assert run(capsys, "load", package, erased, *weights, "--out", loaded)[0] == 0
    model = network("cnn")
    zo_core.replay(model, Receipt.read(erased / "receipt.json"))
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in load_file(loaded).items())
    code, _, complaint = run(capsys, "load", package, erased, *weights, "--out", loaded)
    assert (code, len(complaint.splitlines())) == (2, 1)


OWN = """
from torch import nn

def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 3))

def number():
    return 3

def failing():
    raise RuntimeError("one\\ntwo")
"""


def test_a_network_of_the_users_own(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_networks.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    line = "export --model my_networks:{} --image-size 8 --classes x y z --out out"
    assert run(capsys, *line.format("network").split())[0] == 0
    assert Package(tmp_path / "out").layout.numbers == 3 * (3 * 8 * 8 + 1)
    shutil.rmtree(tmp_path / "out")
    assert "my_networks:number returns a int, not a torch.nn.Module" in refused(capsys, line.format("number"))
    assert "my_networks:failing" in refused(capsys, line.format("failing"))
    assert "my_networks:nothing" in refused(capsys, line.format("nothing"))
    assert not (tmp_path / "out").exists()


def test_a_read_only_package_is_run(forgettable: Forgettable, tmp_path: Path) -> None:
    """Where this is run as root, nothing is forbidden; then the folder at least is left as it is."""
    package, pictures, label = forgettable
    folder = tmp_path / "package"
    shutil.copytree(package.folder, folder)
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: os.stat(path).st_mtime_ns for path in (*folder.iterdir(), folder)}  # noqa: PTH116
    done = edge(
        "erase", folder, "--images", pictures, "--label", label, "--lr", 1e-3, "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path: os.stat(path).st_mtime_ns for path in before} == before  # noqa: PTH116
    folder.chmod(0o755)


def test_a_convolutional_head_is_one_line(tmp_path: Path, pictures: Path, capsys: Capture) -> None:
    from zo_core.edge import export

    model = nn.Sequential(nn.Conv2d(3, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    export(model, tmp_path / "package", image_size=8, classes=CLASSES)
    line = f"erase {tmp_path}/package --images {pictures} --lr 1 --method fo-ga-head --out {tmp_path}/out"
    assert "the network's last layer is not linear" in refused(capsys, line)
