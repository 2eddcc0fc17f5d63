"""The tensor ledger against peaks that are known in advance, to the byte."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from bench.instruments.memory import tensor_peak
from bench.methods import Hyperparameters, Step, prepare_step
from bench.workloads.models import ImageSpec, build_model

KIB = 1024
IDLE = Hyperparameters(lr=0.0, eps=1e-3, seed=0)


def numbers(kib: int) -> torch.Tensor:
    """A float32 tensor of so many KiB."""
    return torch.zeros(kib * KIB // 4)


def program(run: Callable[[], object]) -> Step:
    """A step that only allocates."""
    return Step(lambda: float(run() is None), nn.Module(), (torch.zeros(0), torch.zeros(0)), None)


def allocate_two() -> None:
    a, b = numbers(8), numbers(4)
    assert a.numel() > b.numel()


def free_between() -> None:
    a = numbers(8)
    del a
    numbers(4)


def views_are_free() -> None:
    a = numbers(8)
    pieces = [a.view(2, -1), a[10:], a.t(), a.detach()]
    assert len(pieces) == 4


def in_place_is_free() -> None:
    a = numbers(8)
    a.add_(1).mul_(2)


def expression() -> None:
    a = numbers(8)
    b = a + 1  # 16
    c = b * 2  # 24, before b is gone
    del a, b
    assert c.numel()


def resize() -> None:
    a = numbers(8)
    a.resize_(3 * 8 * KIB // 4)


@pytest.mark.parametrize(
    ("run", "kib"),
    [
        (allocate_two, 12),
        (free_between, 8),
        (views_are_free, 8),
        (in_place_is_free, 8),
        (expression, 24),
        (resize, 24),
    ],
)
def test_hand_made_programs(run: Callable[[], None], kib: int) -> None:
    assert tensor_peak(program(run)).total == kib * KIB


def linear_step(method: str, batch: int = 16) -> Step:
    """One linear layer from 32 to 8 without bias: 1 KiB of weights."""
    model = nn.Linear(32, 8, bias=False)
    return prepare_step(method, model, (torch.ones(batch, 32), torch.zeros(batch, dtype=torch.int64)), IDLE)


def test_parameters_inputs_and_gradients_of_a_linear_layer() -> None:
    found = tensor_peak(linear_step("fo-ga")).by_category
    assert found["parameters"] == 32 * 8 * 4
    assert found["inputs"] == 16 * 32 * 4 + 16 * 8
    assert found["buffers"] == found["optimizer"] == found["noise"] == 0


def test_inference_has_no_gradients_and_ascent_has_one_a_parameter() -> None:
    """At the very end of backward only the weight's gradient and the parameters are left of a one-layer network."""

    def categories(method: str) -> dict[str, int]:
        model = nn.Linear(4096, 8, bias=False)
        return tensor_peak(
            prepare_step(method, model, (torch.ones(1, 4096), torch.zeros(1, dtype=torch.int64)), IDLE)
        ).by_category

    assert categories("forward")["gradients"] == 0
    # The peak comes when the weight's gradient has been computed: at first it is a temporary, then it is a gradient.
    peak = categories("fo-ga")
    assert peak["gradients"] + peak["activations"] >= 4096 * 8 * 4


def test_momentum_counts_as_optimizer_state() -> None:
    model = nn.Linear(32, 8, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def run() -> float:
        optimizer.zero_grad()
        model(torch.ones(1, 32)).sum().backward()
        optimizer.step()
        return 0.0

    step = Step(run, model, (torch.zeros(0), torch.zeros(0)), optimizer)
    assert tensor_peak(step).by_category["optimizer"] == 32 * 8 * 4


def test_batch_norm_statistics_count_as_buffers() -> None:
    """Running mean and variance of 8 channels, and a counter."""
    model = nn.Sequential(nn.Linear(32, 8), nn.BatchNorm1d(8)).eval()
    batch = (torch.ones(2, 32), torch.zeros(2, dtype=torch.int64))
    assert tensor_peak(prepare_step("forward", model, batch, IDLE)).by_category["buffers"] == 2 * 8 * 4 + 8


@pytest.mark.parametrize("name", ["cnn", "mobilenet_v3_small", "resnet18", "vgg11_bn", "vit_b_16"])
def test_zeroth_order_takes_the_memory_of_inference_and_the_pool(name: str) -> None:
    def peak(method: str) -> dict[str, int]:
        model = build_model(name, ImageSpec(1, 32, 10), seed=0).eval()
        batch = (torch.zeros(2, 1, 32, 32), torch.zeros(2, dtype=torch.int64))
        return tensor_peak(prepare_step(method, model, batch, IDLE)).by_category

    floor, zeroth = peak("forward"), peak("zo-ga")
    assert zeroth.pop("noise") <= 4 * 2**20
    floor.pop("noise")
    assert zeroth == floor


def test_the_ledger_reads_the_same_on_one_and_two_threads() -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 2):
            torch.set_num_threads(threads)
            found.append(tensor_peak(linear_step("fo-ga", batch=64)))
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_the_peak_is_affine_in_batch_size_where_activations_dominate() -> None:
    def peak(batch: int) -> int:
        model = build_model("cnn", ImageSpec(1, 32, 10), seed=0).eval()
        return tensor_peak(
            prepare_step("fo-ga", model, (torch.zeros(batch, 1, 32, 32), torch.zeros(batch).long()), IDLE)
        ).total

    assert peak(96) - peak(64) == peak(64) - peak(32) > 0


def test_categories_add_up_to_the_total() -> None:
    found = tensor_peak(linear_step("zo-ga"))
    assert sum(found.by_category.values()) == found.total
    assert found.as_memory().tensor_peak_bytes == found.total
