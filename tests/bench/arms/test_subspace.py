"""Subspace projection against closed forms, an independent rendering of the paper's formula, and a real erasure."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.arms.activations import POSITIONS, spectra
from bench.arms.arm import Batch, Hyperparameters
from bench.arms.subspace import SAMPLES, SubspaceProjection, importances
from bench.arms.table import methods, prepare_step
from bench.erasure.erasure import Erasure
from bench.forecast.peak import forecast
from bench.instruments.ledgers.tensor_ledger import tensor_peak
from bench.instruments.stand_in import StandIn
from bench.record import Case
from bench.workloads.models import ImageSpec

ALPHA_R = 100.0


def draws() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def batches_of(inputs: Tensor, size: int = 16) -> Iterator[Batch]:
    return ((part, torch.zeros(len(part), dtype=torch.int64)) for part in inputs.split(size))


def stepped(model: nn.Module, forget: Tensor, retain: Tensor, steps: int, alpha_r: float = ALPHA_R) -> None:
    """So many strengths, one after the other, on what the model makes of the two sets."""
    found, kept = (spectra(model, batches_of(inputs), draws())[0] for inputs in (forget, retain))
    optimizer = SubspaceProjection(found, kept, sharing=1 / alpha_r)
    for _ in range(steps):
        optimizer.step(lambda: 0.0)


# The spectra


def random_rows(count: int, length: int) -> Tensor:
    """With a spectrum that falls: columns scaled by 1 to 1/length."""
    return torch.randn(count, length, generator=draws(), dtype=torch.float64) / torch.arange(1, length + 1)


@pytest.mark.parametrize("count", [5, 200])
def test_a_spectrum_is_that_of_the_singular_value_decomposition(count: int) -> None:
    """From rows (5 of length 12) and from products (200) alike, batch by batch."""
    rows, layer = random_rows(count, 12), nn.Linear(12, 3).double()
    found, passes = spectra(layer, batches_of(rows), draws())
    spectrum = found[layer.weight]
    _, values, transposed = torch.linalg.svd(rows, full_matrices=False)
    energies = values.square() / values.square().sum()
    assert passes == -(-count // 16)
    assert torch.allclose(spectrum.shares[0].flip(0)[: len(energies)], energies)
    expected = transposed.mT * energies @ transposed
    assert torch.allclose(spectrum.basis[0] * spectrum.shares[0] @ spectrum.basis[0].mT, expected)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(4, 6, (3, 2), stride=(2, 1), dilation=2, padding=2, groups=2),
        nn.Conv2d(4, 8, 3, padding="same", groups=4),
    ],
)
def test_patches_of_convolutions_are_what_their_weights_are_multiplied_with(convolution: nn.Conv2d) -> None:
    """Second moments by group, against torch's unfold; the images have fewer positions than are looked at."""
    convolution.double()
    images = torch.randn(7, 4, 6, 5, generator=draws(), dtype=torch.float64)
    spectrum = spectra(convolution, batches_of(images, 3), draws())[0][convolution.weight]
    size, stride, dilation = convolution.kernel_size, convolution.stride, convolution.dilation
    padding = 1 if convolution.padding == "same" else convolution.padding
    patches = F.unfold(images, size, dilation=dilation, padding=padding, stride=stride)
    assert patches.shape[2] <= POSITIONS
    rows = patches.transpose(1, 2).reshape(-1, convolution.groups, spectrum.basis.shape[1])
    for group in range(convolution.groups):
        product = rows[:, group].mT @ rows[:, group]
        basis, shares = spectrum.basis[group], spectrum.shares[group]
        assert torch.allclose(basis * shares @ basis.mT, product / product.trace())


def test_a_depthwise_convolution_with_other_padding() -> None:
    """Reflected borders, unfolded by hand."""
    convolution = nn.Conv2d(2, 2, 3, padding=1, groups=2, padding_mode="reflect").double()
    images = torch.randn(3, 2, 5, 5, generator=draws(), dtype=torch.float64)
    spectrum = spectra(convolution, batches_of(images), draws())[0][convolution.weight]
    patches = F.unfold(F.pad(images, (1, 1, 1, 1), "reflect"), 3).view(3, 2, 9, 25)
    for channel in range(2):
        rows = patches[:, channel].transpose(1, 2).reshape(-1, 9)
        product = rows.mT @ rows
        basis, shares = spectrum.basis[channel], spectrum.shares[channel]
        assert torch.allclose(basis * shares @ basis.mT, product / product.trace())


def test_directions_that_nothing_came_along_have_no_share() -> None:
    """Rows in a plane of five dimensions, in float32: two directions, however many rows."""
    plane = torch.randn(2, 5, generator=draws())
    layer = nn.Linear(5, 1)
    for count in (4, 400):
        rows = torch.randn(count, 2, generator=draws()) @ plane
        assert (spectra(layer, batches_of(rows), draws())[0][layer.weight].shares > 0).sum() == 2


def test_frozen_layers_and_those_never_called_are_left_out_and_the_model_as_it_was() -> None:
    model = nn.ModuleDict({"used": nn.Linear(4, 4), "frozen": nn.Linear(4, 4), "idle": nn.Linear(4, 4)})
    model["frozen"].requires_grad_(False)
    model.forward = lambda x: model["frozen"](model["used"](x))  # type: ignore[method-assign]
    found, _ = spectra(model, batches_of(torch.randn(9, 4, generator=draws())), draws())
    assert list(found) == [model["used"].weight]
    assert not any(module._forward_pre_hooks for module in model.modules())


# The projection


def test_importances_are_the_papers() -> None:
    shares = torch.tensor([0.0, 0.1, 0.5, 1.0], dtype=torch.float64)
    for alpha in (0.25, 1.0, 30.0):
        assert torch.allclose(importances(shares, 1 / alpha), alpha * shares / ((alpha - 1) * shares + 1))
    assert importances(shares, 0.0).tolist() == [0.0, 1.0, 1.0, 1.0]


def test_orthogonal_inputs_are_told_apart() -> None:
    """Forget inputs fill one subspace, retain inputs another at right angles: what is to be kept stays to rounding, and
    what is to be forgotten shrinks to nothing (but the bias) as alpha grows.
    """
    basis = torch.linalg.qr(torch.randn(12, 12, generator=draws(), dtype=torch.float64)).Q
    forget, retain = (
        torch.randn(40, len(axes), generator=draws(), dtype=torch.float64) @ axes for axes in (basis[:3], basis[3:8])
    )
    layer = nn.Linear(12, 5).double()
    kept, norms = layer(retain).detach(), []
    for steps in (1, 5, 15, 50):
        model = nn.Linear(12, 5).double()
        model.load_state_dict(layer.state_dict())
        stepped(model, forget, retain, steps)
        assert torch.allclose(model(retain), kept, rtol=0, atol=1e-12)
        norms.append((model(forget) - model.bias).norm().item())
    assert norms == sorted(norms, reverse=True)
    assert norms[0] > 0.1
    assert norms[-1] < 1e-10


@pytest.mark.parametrize("steps", [1, 4])
def test_each_step_applies_its_strength_to_the_weights_as_they_were(steps: int) -> None:
    """alpha_f = 2^(steps - 3), and W (I - P_f (I - P_r))^T, with every matrix written out."""
    forget, retain = random_rows(60, 6), random_rows(80, 6).roll(2, dims=1)
    layer = nn.Linear(6, 4).double()
    before = layer.weight.detach().clone()
    stepped(layer, forget, retain, steps)
    projections = []
    for rows, alpha in ((forget, 2.0 ** (steps - 3)), (retain, ALPHA_R)):
        _, values, transposed = torch.linalg.svd(rows, full_matrices=False)
        share = values.square() / values.square().sum()
        projections.append(transposed.mT @ torch.diag(alpha * share / ((alpha - 1) * share + 1)) @ transposed)
    one = torch.eye(6, dtype=torch.float64)
    apart = projections[0] @ (one - projections[1])
    assert torch.allclose(layer.weight, before @ (one - apart).mT)


def test_strengths_beyond_what_a_number_can_hold_change_nothing_more() -> None:
    layer = nn.Linear(6, 4)
    forget, retain = random_rows(60, 6).float(), random_rows(80, 6).float().roll(2, dims=1)
    stepped(layer, forget, retain, 1200)
    assert layer.weight.isfinite().all()


def test_blank_inputs_change_nothing() -> None:
    """They have no direction."""
    layer = nn.Linear(6, 4)
    before = layer.weight.detach().clone()
    stepped(layer, torch.zeros(8, 6), torch.zeros(8, 6), 3)
    assert torch.equal(layer.weight, before)


# The arm


def of_arm(erasure: Erasure, lr: float) -> Erasure:
    case = erasure.case.model_copy(update={"method": "subspace"})
    return replace(erasure, case=case, hyperparameters=Hyperparameters(lr, 1e-3, 0))


def test_a_class_of_the_digits_is_forgotten_and_the_others_are_kept(erasure_of: Callable[[str], Erasure]) -> None:
    """By one strength or another, at an alpha_r of 10: the class is at chance, the others lose less than ten points.

    It cost the forward passes that saw the forget set and 900 samples of the retain set, and one a step.
    """
    erasure = of_arm(erasure_of("class:3"), lr=0.1)
    followed = erasure.follow(erasure.fresh_model(), lambda batches: islice(batches, 12), horizon=0)
    seen = followed.trajectory.at_completion()
    assert seen is not None
    assert seen.forget_accuracy <= erasure.target == 10
    assert seen.retain_accuracy > erasure.started.retain_accuracy - 10
    passes = -(-len(erasure.split.forget) // 32) + -(-SAMPLES // 32)
    assert followed.forwards == passes + followed.trajectory.steps[-1]


def test_its_memory_is_in_the_ledger_and_in_the_forecast() -> None:
    """Counted as the optimizer's: for each weight, the original, the basis (d x r), the original in it, and the shares.

    r is d, or the 64 samples that a stand-in has to forget where a linear layer has more inputs than that.
    """
    case = Case(
        method="subspace", model="cnn", dataset="", image_size=8, batch_size=64, device="cpu", threads=1, seed=0
    )
    stand_in = StandIn.of(case, ImageSpec(1, 8, 10), training=None)
    measured, numbers = tensor_peak(stand_in.prepare), 0
    for weight in stand_in.model().parameters():
        if weight.dim() > 1:
            outputs, length = len(weight), weight[0].numel()
            rank = min(64, length) if weight.dim() == 2 else length
            numbers += weight.numel() + (length + outputs + 1) * rank
    assert measured.by_category["optimizer"] == 4 * numbers
    assert forecast(stand_in) == measured


def test_a_step_by_itself_runs() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10)).eval()
    batch = torch.randn(6, 1, 8, 8, generator=draws()), torch.arange(6)
    before = model[4].weight.detach().clone()
    step = prepare_step("subspace", model, batch, Hyperparameters(0.01, 1e-3, 0))
    assert step.run() > 0
    assert not torch.equal(model[4].weight, before)
    assert methods.get("subspace").forward_equivalents == 1
