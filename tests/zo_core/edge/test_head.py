"""The last layer's gradient by its closed form against torch's autograd."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.zo_core.edge.conftest import Packages, network
from tests.zo_core.edge.test_device import batch
from zo_core import Receipt
from zo_core import replay as replay_on_torch
from zo_core.edge import EdgeZO, PackageError, export
from zo_core.edge.device.head import EdgeHead
from zo_core.edge.device.network import OnnxNetwork
from zo_core.receipt import ReceiptError

LR, STEPS = 0.1, 5


class Plain(nn.Module):
    """A linear head with a bias or without one, behind a layer that must not move."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.body = nn.Linear(3 * 32 * 32, 20)
        self.head = nn.Linear(20, 10, bias=bias)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(torch.tanh(self.body(images.flatten(1))))


@pytest.mark.parametrize("maximize", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_steps_are_those_of_autograd(tmp_path: Path, bias: bool, maximize: bool) -> None:
    """To float32's rounding: features and logits of other kernels, a product of some terms, five steps of it."""
    torch.manual_seed(0)
    model = Plain(bias)
    package = export(model, tmp_path / "package", image_size=32, classes=list("abcdefghij"))
    head = EdgeHead(package, lr=LR, maximize=maximize)
    optimizer = torch.optim.SGD(model.head.parameters(), LR, maximize=maximize)
    images, labels = batch(8)
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(torch.from_numpy(images)), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
        assert head.step(images, labels) == pytest.approx(loss.item(), rel=1e-5)
    for name, parameter in model.named_parameters():
        wanted = parameter.detach().numpy().reshape(-1)
        assert head.network.parameters[name] == pytest.approx(wanted, abs=2e-6)
    before = package.layout.views(package.weights())
    moved = {name for name in before if not np.array_equal(before[name], head.network.parameters[name])}
    assert moved == {"head.weight", "head.bias"} - (set() if bias else {"head.bias"})
    assert set(head.receipt().moved) == moved


def test_a_convolutional_head_is_refused(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    package = export(model, tmp_path / "package", image_size=8, classes=list("abcdefghij"))
    assert package.layout.head is None
    with pytest.raises(PackageError, match="last layer is not linear"):
        EdgeHead(package, lr=LR)
    images = np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32)
    assert EdgeZO(package, lr=LR, tail="layer").step(images, [0, 1]) > 0


@pytest.mark.parametrize("lr", [-1.0, float("nan"), float("inf")])
def test_a_rate_out_of_its_bounds(packages: Packages, lr: float) -> None:
    with pytest.raises(ValueError, match="lr must be at least 0 and finite"):
        EdgeHead(packages("cnn"), lr=lr)


def test_a_loss_that_is_not_finite_changes_nothing(packages: Packages) -> None:
    head, (images, labels) = EdgeHead(packages("cnn"), lr=LR), batch()
    with pytest.raises(FloatingPointError):
        head.step(np.full_like(images, np.nan), labels)
    assert np.array_equal(head.network.weights, packages("cnn").weights())
    assert head.steps_taken == 0


def test_its_receipt_is_not_replayed(packages: Packages) -> None:
    head = EdgeHead(packages("cnn"), lr=LR, maximize=True)
    head.step(*batch())
    receipt = Receipt.from_json(head.receipt().to_json())
    model = network("cnn")
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(ReceiptError, match="cannot be replayed without the data"):
        replay_on_torch(model, receipt)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))


def test_a_network_that_was_moved_before_has_no_receipt(packages: Packages) -> None:
    moved = OnnxNetwork(packages("cnn"))
    moved.weights += 1
    with pytest.raises(PackageError, match="were not the package's"):
        EdgeHead(packages("cnn"), lr=LR, network=moved).receipt()
