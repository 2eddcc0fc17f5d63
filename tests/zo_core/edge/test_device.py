"""Steps on the engine against those of torch, and against what they must be by hand."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.zo_core.edge.conftest import CLASSES, SIZE, Packages, network
from zo_core import ZOSGD
from zo_core.ascent.plan import RECIPES
from zo_core.ascent.tail import Tail, tail_of
from zo_core.edge import EdgeZO, Package, PackageError
from zo_core.edge.device.network import OnnxNetwork, Outputs, cross_entropy
from zo_core.edge.package import Layout
from zo_core.engine.flat import Numbers
from zo_core.engine.streams import integers

STEPS, LOOK, LR, SEED = 50, 10, 1e-6, 7
TOLERANCE = 1e-4  # of the largest logit: what a package is held to when it is made
LARGE = ("mobilenet_v3_small", "resnet18")
FOUR: list[tuple[str, dict[str, Any]]] = [
    ("cnn", {"queries": 2, "two_sided": False}),
    ("resnet20", {"clip": 0.5}),
    ("mobilenet_v3_small", dict(RECIPES["zo-ga-fast"])),
    ("resnet18", {}),
]


class Watched:
    """A network that keeps what it gave."""

    def __init__(self, network: OnnxNetwork) -> None:
        self.network, self.weights = network, network.weights
        self.given: list[Numbers] = []

    @property
    def parameters(self) -> Mapping[str, Numbers]:
        return self.network.parameters

    def run(self, images: Numbers) -> Outputs:
        outputs = self.network.run(images)
        self.given.append(outputs.logits)
        return outputs


def batch(samples: int = 2) -> tuple[Numbers, np.ndarray[Any, Any]]:
    draws = np.random.default_rng(0)
    images = draws.standard_normal((samples, 3, SIZE, SIZE)).astype(np.float32)
    return images, draws.integers(0, len(CLASSES), samples)


@pytest.mark.parametrize(
    ("name", "settings"),
    [pytest.param(*one, id=one[0], marks=[pytest.mark.slow] if one[0] in LARGE else []) for one in FOUR],
)
def test_fifty_steps_are_those_of_torch(packages: Packages, name: str, settings: dict[str, Any]) -> None:
    """Of the same losses come the same weights, to the bit.

    The engine's kernels are others than torch's, so a loss is another in its last digits: no logit by more than the
    tolerance, and a cross-entropy then by no more than twice that, its slopes p - y being 2 together at most. Torch
    computes them in every tenth step, at the weights that are on their way.
    """
    package, model = packages(name), network(name)
    watched = Watched(OnnxNetwork(package))
    ours = EdgeZO(package, network=watched, lr=LR, seed=SEED, maximize=True, **settings)
    theirs = ZOSGD(model.parameters(), LR, noise="portable", seed=SEED, maximize=True, **settings)
    images, labels = batch()
    inputs, targets = torch.from_numpy(images), torch.from_numpy(labels)

    def closure() -> float:
        logits = watched.given.pop(0)
        loss = cross_entropy(logits, labels)
        if theirs.steps_taken % LOOK:
            return loss
        seen = model(inputs)
        bound = TOLERANCE * float(seen.abs().max())
        assert float(np.abs(logits - seen.numpy()).max()) <= bound
        assert abs(loss - float(F.cross_entropy(seen.double(), targets))) <= 2 * bound + 1e-6
        return loss

    before = watched.weights.copy()
    for _ in range(STEPS):
        assert ours.step(images, labels) == theirs.step(closure)
        assert not watched.given
        assert ours.optimizer.rises == theirs.rises
        assert all(
            np.array_equal(found, parameter.detach().numpy().reshape(-1))
            for found, parameter in zip(watched.parameters.values(), model.parameters(), strict=True)
        )
    assert not np.array_equal(before, watched.weights)
    assert {one.name for one in package.layout.parameters} == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("name", ["cnn", "resnet20"])
@pytest.mark.parametrize("tail", ["stage", "block", "layer"])
def test_a_tail_moves_the_same_parameters_as_in_torch_and_no_others(packages: Packages, name: str, tail: Tail) -> None:
    package, model = packages(name), network(name)
    names = {parameter: key for key, parameter in model.named_parameters()}
    moved = {names[parameter] for parameter in tail_of(model, tail)}
    optimizer = EdgeZO(package, tail=tail, lr=0.01, seed=SEED)
    optimizer.step(*batch())
    before = package.layout.views(package.weights())
    after = optimizer.network.parameters
    assert {key for key in before if not np.array_equal(before[key], after[key])} == moved
    assert set(optimizer.receipt().moved) == moved


def test_a_step_of_the_last_layer_is_what_it_is_by_hand(packages: Packages) -> None:
    """Windows of the pool are z, their offsets drawn for seed, step, query and group."""
    package, eps, lr = packages("cnn"), 1e-3, 0.01
    images, labels = batch()
    optimizer = EdgeZO(package, tail="layer", lr=lr, eps=eps, seed=SEED, maximize=True)
    pool, network = package.pool(), OnnxNetwork(package)
    head = package.layout.head
    assert head is not None
    assert head.bias is not None
    rows = [network.parameters[head.weight], network.parameters[head.bias]]
    window = len(pool) // 3
    assert len(rows[0]) == 2.5 * window
    for step in range(5):
        # The weight has two whole windows and a half; the bias of ten numbers has room in the half's.
        offsets = [word % (2 * window) for word in integers(3, SEED, step, 0, 0)]
        half = window // 2
        z = np.concatenate(
            [pool[first : first + size] for first, size in zip(offsets, (window, window, half + 10), strict=True)]
        )

        def add(scale: float, z: Numbers = z) -> None:
            for row, part in zip(rows, np.split(z, [len(rows[0])]), strict=True):
                row += part * np.float32(scale)

        add(eps)
        ahead = cross_entropy(network.run(images).logits, labels)
        add(-2 * eps)
        behind = cross_entropy(network.run(images).logits, labels)
        add(eps + lr * ((ahead - behind) / 2 / eps))
        assert optimizer.step(images, labels) == (ahead + behind) / 2
        assert np.array_equal(optimizer.network.weights, network.weights)


def test_weights_move_the_output_at_once_and_are_no_copy(packages: Packages) -> None:
    """Of a linear layer's bias the logits are the sum: what is added to it is added to them."""
    package = packages("cnn")
    network, images = OnnxNetwork(package), batch(3)[0]
    head = package.layout.head
    assert head is not None
    assert head.bias is not None
    before = network.run(images).logits
    network.parameters[head.bias][:] += np.arange(len(CLASSES), dtype=np.float32)
    after = network.run(images).logits
    assert after - before == pytest.approx(np.tile(np.arange(len(CLASSES)), (3, 1)), abs=1e-5)
    network.weights[:] = 0
    assert not network.run(images).logits.any()


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_are_given_to_the_engine(packages: Packages, threads: int) -> None:
    images, _ = batch(8)
    options = OnnxNetwork(packages("resnet20"), threads)._session.get_session_options()
    assert options.intra_op_num_threads == threads
    one, more = (OnnxNetwork(packages("resnet20"), count).run(images).logits for count in (1, threads))
    assert more == pytest.approx(one, abs=1e-5)


def test_cross_entropy_is_that_of_torch_and_never_overflows() -> None:
    logits = np.array([[1e4, 0, -1e4], [1, 2, 3], [0, 0, 0]], np.float32)
    labels = np.array([2, 1, 0])
    wanted = float(F.cross_entropy(torch.from_numpy(logits).double(), torch.from_numpy(labels)))
    assert cross_entropy(logits, labels) == pytest.approx(wanted, rel=1e-15)


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.zeros((2, 3, 32), np.float32), [0, 0], r"images must be \(N, 3, 32, 32\), not \(2, 3, 32\)"),
        (np.zeros((2, 1, 32, 32), np.float32), [0, 0], "not \\(2, 1, 32, 32\\)"),
        (np.zeros((0, 3, 32, 32), np.float32), [], "not \\(0, 3, 32, 32\\)"),
        (np.zeros((2, 3, 32, 32), np.float32), [0], r"labels must be \(2,\) class indices"),
        (np.zeros((2, 3, 32, 32), np.float32), [0.0, 1.0], "of float64"),
        (np.zeros((2, 3, 32, 32), np.float32), [0, 10], r"from 0 to 9, not \[0, 10\]"),
        (np.zeros((2, 3, 32, 32), np.float32), [-1, 0], r"from 0 to 9, not \[-1, 0\]"),
    ],
)
def test_a_batch_that_does_not_fit_changes_nothing(
    packages: Packages, images: Numbers, labels: list[Any], said: str
) -> None:
    optimizer = EdgeZO(packages("cnn"), lr=0.1)
    with pytest.raises(PackageError, match=said):
        optimizer.step(images, labels)
    assert np.array_equal(optimizer.network.weights, packages("cnn").weights())
    assert optimizer.receipt().steps == 0


def test_a_step_that_fails_leaves_no_receipt_that_would_not_replay(packages: Packages) -> None:
    """The weights come back to rounding alone: a receipt of what comes after would lead to others."""
    optimizer, (images, labels) = EdgeZO(packages("cnn"), lr=1e-3), batch()
    optimizer.step(images, labels)
    before = optimizer.network.weights.copy()
    with pytest.raises(FloatingPointError):
        optimizer.step(np.full_like(images, np.nan), labels)
    assert optimizer.network.weights == pytest.approx(before, abs=1e-6)
    optimizer.step(images, labels)
    with pytest.raises(PackageError, match="a step was broken off"):
        optimizer.receipt()


def test_settings_that_change_between_steps_leave_no_receipt(packages: Packages) -> None:
    """It has one lr for all of its steps."""
    optimizer = EdgeZO(packages("cnn"), lr=1e-3)
    optimizer.step(*batch())
    optimizer.optimizer.group = type(optimizer.optimizer.group)(lr=1e-4, eps=1e-3)
    optimizer.step(*batch())
    with pytest.raises(PackageError, match="settings were changed"):
        optimizer.receipt()


def test_a_network_that_was_moved_before_is_told(packages: Packages) -> None:
    """A receipt says that it began with the package's weights."""
    network = OnnxNetwork(packages("cnn"))
    network.weights += 1
    with pytest.raises(PackageError, match="were not the package's"):
        EdgeZO(packages("cnn"), lr=1e-3, network=network).receipt()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"lr": -1.0}, "lr must be"),
        ({"lr": float("nan")}, "lr must be"),
        ({"lr": 0.1, "eps": 0.0}, "eps must be"),
        ({"lr": 0.1, "queries": 0}, "queries must be"),
        ({"lr": 0.1, "seed": -1}, "seed must be"),
        ({"lr": 0.1, "blocks": 2**62}, "blocks must be at most"),
        ({"lr": 0.1, "tail": "half"}, "unknown tail 'half'; choose from: all, "),
    ],
    ids=str,
)
def test_settings_out_of_their_bounds(packages: Packages, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        EdgeZO(packages("cnn"), **settings)


def test_a_layout_comes_back_as_it_was(packages: Packages) -> None:
    for name, _ in FOUR[:2]:
        layout = packages(name).layout
        assert Layout.from_json(layout.to_json()) == layout
        assert Package(packages(name).folder).layout == layout
