"""An erasure, done again from its receipt: in numpy by the command, in torch by `zo_core.replay`, to the bit."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import zo_core
from tests.zo_core.edge.conftest import CLASSES, Packages, content, edge, network
from tests.zo_core.edge.test_device import batch
from zo_core.edge import EdgeZO, Package, load
from zo_core.edge.__main__ import main
from zo_core.edge.device.methods import optimizer_for
from zo_core.edge.package import read_numbers
from zo_core.receipt import Receipt, ReceiptError

ERASE = ("--batch-size", 4, "--label", "a")
WAYS: list[tuple[str, dict[str, Any]]] = [
    ("zo-ga", {}),
    ("zo-ga", {"queries": 3}),
    ("zo-ga", {"two_sided": False, "queries": 2}),
    ("zo-ga", {"clip": 0.1, "eps": 1e-2}),
    ("zo-ga-normalized", {"normalize": True, "tail": "stage"}),
    ("zo-ga-fast", {"tail": "layer", "blocks": 16, "steps_per_batch": 4, "normalize": True}),
    ("zo-ga-fast", {"tail": "block", "blocks": 16, "steps_per_batch": 4, "normalize": True}),
]


def erased(package: Package, out: Path, steps: int = 9, method: str = "zo-ga", **way: Any) -> Path:
    """A folder of weights that were moved so many steps up the loss, and their receipt."""
    optimizer = EdgeZO(package, lr=1e-3, seed=3, maximize=True, method=method, **way)
    images, labels = batch(4)
    for _ in range(steps):
        optimizer.step(images, labels)
    optimizer.save(out)
    return out


@pytest.fixture(scope="module")
def done(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An erasure of `cnn`, which nobody may change."""
    return erased(packages("cnn"), tmp_path_factory.mktemp("done") / "erased")


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit code, what is written, and what is complained of."""
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize(("method", "way"), WAYS, ids=str)
def test_numpy_and_torch_lead_to_the_same_weights_to_the_bit(
    packages: Packages, tmp_path: Path, capsys: pytest.CaptureFixture[str], method: str, way: dict[str, Any]
) -> None:
    package = packages("cnn")
    out = erased(package, tmp_path / "erased", method=method, **way)
    assert run(capsys, "replay", package.folder, out / "receipt.json", "--out", tmp_path / "same")[0] == 0
    assert content(tmp_path / "same") == content(out)
    code, said, _ = run(capsys, "verify", package.folder, out / "receipt.json")
    assert (code, len(said.splitlines())) == (0, 1)
    assert f"9 steps of {method} match" in said

    model = network("cnn")
    zo_core.replay(model, Receipt.read(out / "receipt.json"))
    flat = np.concatenate([parameter.detach().numpy().reshape(-1) for parameter in model.parameters()])
    assert np.array_equal(flat, read_numbers(out / "weights.npy"))
    assert not np.array_equal(flat, package.weights())


def test_load_gives_torch_the_network_of_the_device(packages: Packages, done: Path) -> None:
    package, model = packages("cnn"), network("cnn")
    state = load(model.state_dict(), package, read_numbers(done / "weights.npy"))
    model.load_state_dict(state)
    again = network("cnn")
    zo_core.replay(again, Receipt.read(done / "receipt.json"), package.pool())
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))


def test_the_commands_erase_replay_and_verify(packages: Packages, pictures: Path, tmp_path: Path) -> None:
    """In processes of their own, and the receipt is of the methods' own settings."""
    package, before = packages("cnn"), content(packages("cnn").folder)
    for method, tail in (("zo-ga", "all"), ("zo-ga-fast", "layer"), ("zo-ga-fast", "block")):
        out, same = tmp_path / f"{method}-{tail}", tmp_path / f"{method}-{tail}-same"
        erase = edge(
            *("erase", package.folder, "--images", pictures / "a", *ERASE, "--lr", 1e-4, "--method", method),
            *("--tail", tail, "--target", 100, "--out", out),
        )
        assert erase.returncode == 0, erase.stderr
        assert {path.name for path in out.iterdir()} == {"weights.npy", "receipt.json"}
        assert edge("replay", package.folder, out / "receipt.json", "--out", same).returncode == 0
        assert content(same) == content(out)
    assert content(package.folder) == before


def test_a_receipt_for_other_weights_is_refused_and_the_model_unchanged(done: Path) -> None:
    model = network("cnn")
    with torch.no_grad():
        model[0].weight[0, 0, 0, 0] += 1
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(ReceiptError, match="not what the receipt was made with: before; the model is unchanged"):
        zo_core.replay(model, Receipt.read(done / "receipt.json"))
    with pytest.raises(ReceiptError, match="layout, pool, before"):
        zo_core.replay(network("resnet20"), Receipt.read(done / "receipt.json"))
    with pytest.raises(ReceiptError, match=r"call model\.float"):
        zo_core.replay(network("cnn").double(), Receipt.read(done / "receipt.json"))
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def tampered(done: Path, out: Path, **changes: Any) -> Path:
    """A copy of the erasure whose receipt has other content."""
    shutil.copytree(done, out)
    receipt = json.loads((out / "receipt.json").read_text())
    for name, value in changes.items():
        for known in (receipt, receipt["settings"], receipt["hashes"]):
            if name in known:
                known[name] = value
    (out / "receipt.json").write_text(json.dumps(receipt))
    return out / "receipt.json"


OTHER = "0" * 64
CHANGES: list[dict[str, Any]] = [
    {"format": "x"},
    {"version": 2},
    {"rounding": "fused"},
    {"layout": OTHER},
    {"pool": OTHER},
    {"before": OTHER},
    {"after": OTHER},
    {"moved": ["0.weight"]},
    {"moved": ["a\nb"]},
    {"lr": 2e-3},
    {"eps": 2e-3},
    {"clip": 1e-9},
    {"maximize": False},
    {"queries": 3},
    {"two_sided": False},
    {"blocks": 2},
    {"normalize": True},
    {"seed": 4},
    {"seed": None},
    {"steps": 8},
    {"rises": ""},
    {"rises": "AAAAAAAA8H8=" * 9},
    {"rises": "AAAAAAAAAAA="},
    {"hashes": None},
    {"settings": {"a\nb": 1}},
]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_a_tampered_receipt_is_told_in_a_line_and_nothing_is_written(
    packages: Packages, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any]
) -> None:
    folder, receipt = packages("cnn").folder, tampered(done, tmp_path / "tampered", **changes)
    before = content(tmp_path)
    code, said, complaint = run(capsys, "replay", folder, receipt, "--out", tmp_path / "same")
    assert (code, said, len(complaint.splitlines())) == (2, "", 1), complaint
    code, said, complaint = run(capsys, "verify", folder, receipt)
    assert (code > 0, len((said + complaint).splitlines())) == (True, 1)
    assert content(tmp_path) == before


def test_what_makes_no_difference_may_be_written_otherwise(
    packages: Packages, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What took the steps is told by no number in them: the receipt does not prove it."""
    changes = {"method": "another", "versions": {}, "steps_per_batch": 3}
    receipt = tampered(done, tmp_path / "tampered", **changes)
    assert run(capsys, "verify", packages("cnn").folder, receipt)[0] == 0


@pytest.mark.parametrize(
    ("name", "words"),
    [("layout", "layout"), ("pool", "pool"), ("before", "weights before"), ("after", "weights after")],
)
def test_verify_says_what_differs(
    packages: Packages, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    receipt = tampered(done, tmp_path / "tampered", **{name: OTHER})
    said = f"{receipt}: does not match: {words}\n"
    assert run(capsys, "verify", packages("cnn").folder, receipt) == (1, said, "")


def test_verify_says_all_that_differs_and_that_steps_lead_elsewhere(
    packages: Packages, done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, receipt = packages("cnn").folder, done / "receipt.json"
    code, said, _ = run(capsys, "verify", packages("resnet20").folder, receipt)
    assert (code, said) == (1, f"{receipt}: does not match: layout, pool, weights before\n")
    code, said, _ = run(capsys, "verify", folder, receipt, folder / "weights.npy")
    assert (code, said) == (1, f"{receipt}: does not match: weights after\n")
    other = tampered(done, tmp_path / "other", lr=2e-3)
    code, said, _ = run(capsys, "verify", folder, other)
    assert (code, said) == (1, f"{other}: all hashes match, but its steps lead to other weights\n")


def test_first_order_receipts_are_verified_and_not_replayed(
    packages: Packages, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = packages("cnn")
    head = optimizer_for(package, "fo-ga-head", lr=0.1)
    head.step(*batch())
    head.save(tmp_path / "erased")
    before, receipt = content(tmp_path), tmp_path / "erased" / "receipt.json"
    code, said, complaint = run(capsys, "replay", package.folder, receipt, "--out", tmp_path / "same")
    assert (code, said) == (2, "")
    assert complaint == ("replay: the steps of fo-ga-head are first-order: they cannot be replayed without the data\n")
    code, said, _ = run(capsys, "verify", package.folder, receipt)
    assert (code, said) == (0, f"{receipt}: all hashes match; steps of fo-ga-head cannot be replayed\n")
    assert content(tmp_path) == before


def test_the_classes_are_no_part_of_a_receipt(packages: Packages, done: Path, tmp_path: Path) -> None:
    """A package of the same network with other names of classes and other means replays it, too."""
    from zo_core.edge import export

    named = export(network("cnn"), tmp_path / "named", image_size=32, classes=CLASSES[::-1], mean=[0.5] * 3)
    assert main(["replay", str(named.folder), str(done / "receipt.json"), "--out", str(tmp_path / "same")]) == 0
    assert content(tmp_path / "same") == content(done)
