"""The tensor ledger against peaks that are known in advance, to the byte."""

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import cycle, product

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from bench.arms.arm import Step, optimizer_step
from bench.arms.table import prepare_step
from bench.instruments.garbage import no_garbage
from bench.instruments.ledgers.tensor_ledger import TensorPeak, tensor_peak
from bench.instruments.stand_in import IDLE
from bench.workloads.models import ImageSpec, build_model
from zo_core import ZOSGD

KIB = 1024
NUMBERS = 8 * KIB // 4  # of 8 KiB in float32
NOTHING = torch.zeros(0), torch.zeros(0)


def numbers(kib: int) -> torch.Tensor:
    """A float32 tensor of so many KiB."""
    return torch.zeros(kib * KIB // 4)


def peak_of(run: Callable[[], object], model: nn.Module | None = None) -> TensorPeak:
    """The peak of a step that is just a function."""
    return tensor_peak(lambda: Step(lambda: float(run() is None), model or nn.Module(), NOTHING, None))


def allocate_two() -> None:
    a, b = numbers(8), numbers(4)
    assert a.numel() > b.numel()


def free_between() -> None:
    a = numbers(8)
    del a
    numbers(4)


def views_are_free() -> None:
    a = numbers(8)
    pieces = [a.view(2, -1), a[10:], a.t(), a.detach(), a.expand(7, -1), a.untyped_storage()]
    assert len(pieces) == 6


def a_view_keeps_its_storage() -> None:
    a = numbers(8)[:1]
    b = numbers(4)
    assert a.numel() < b.numel()


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
    a.resize_(3 * NUMBERS)


def resize_the_storage() -> None:
    """To nothing, beside 12 KiB, and back when those are gone, as sharded training does."""
    a = numbers(8)
    a.untyped_storage().resize_(0)
    numbers(12)
    a.untyped_storage().resize_(8 * KIB)
    a.add_(1)


def grow_the_storage() -> None:
    """By itself, to 12 KiB, after 12 were there already: beside 4 more, it makes 16."""
    a, b = numbers(4), numbers(8)
    del b
    a.untyped_storage().resize_(12 * KIB)
    c = numbers(4)
    assert a.numel() == c.numel()


def set_to_another_storage() -> None:
    a, b = numbers(8), numbers(4)
    a.set_(b)  # the 8 KiB are gone
    c = numbers(8)
    assert c.numel() > a.numel()


def several_results() -> None:
    pieces = numbers(8).view(2, -1).unbind()
    sums = torch._foreach_add(list(pieces), 1.0)
    assert len(sums) == 2


def two_forward_passes() -> None:
    """Each 24: x, its exponential and that one's. Nothing is left of the first when the second begins."""
    x = numbers(8)
    for _ in range(2):
        x.exp().exp()


@pytest.mark.parametrize(
    ("run", "kib"),
    [
        (allocate_two, 12),
        (free_between, 8),
        (views_are_free, 8),
        (a_view_keeps_its_storage, 12),
        (in_place_is_free, 8),
        (expression, 24),
        (resize, 24),
        (resize_the_storage, 12),
        (grow_the_storage, 16),
        (set_to_another_storage, 12),
        (several_results, 16),
        (two_forward_passes, 24),
    ],
)
def test_hand_made_programs(run: Callable[[], None], kib: int) -> None:
    assert peak_of(run).total == kib * KIB


def test_what_was_there_before_counts_once_it_is_used() -> None:
    table, unused = numbers(8), numbers(8)
    assert peak_of(lambda: table[:5] + 1).total == 8 * KIB + 5 * 4
    assert unused.numel()


def test_a_storage_that_grew_at_the_end_of_the_step_before_counts_from_the_start() -> None:
    """12 KiB, until the second step takes it back to 4, and makes 4 more."""
    kept = numbers(4)

    def run() -> None:
        kept.untyped_storage().resize_(4 * KIB)
        kept.add(1)
        kept.untyped_storage().resize_(12 * KIB)

    assert peak_of(run).total == 12 * KIB


def test_what_is_only_read_counts_also_behind_a_keyword() -> None:
    """512 numbers to search, the order of them in int64, one number sought, and its place."""
    sequence, sought, order = torch.zeros(512), torch.zeros(1), torch.arange(512)
    assert peak_of(lambda: torch.searchsorted(sequence, sought, sorter=order)).total == 512 * (4 + 8) + 4 + 8


def test_garbage_is_not_collected_meanwhile() -> None:
    """Each of the two steps leaves 8 KiB in a cycle; a collector that is never idle would take the first."""

    def run() -> None:
        ring: list[object] = [numbers(8)]
        ring.append(ring)

    before = gc.get_threshold()
    try:
        gc.set_threshold(1, 1, 1)
        assert peak_of(run).total == 16 * KIB
    finally:
        gc.set_threshold(*before)


def test_what_the_step_keeps_counts_from_its_start() -> None:
    """The second step begins with what the first left: 8 KiB, beside the 4 that it makes itself."""
    kept: list[torch.Tensor] = []

    def run() -> None:
        numbers(4)
        kept[:] = kept or [numbers(8)]

    assert peak_of(run).total == 12 * KIB


def test_where_steps_come_in_turn_the_peak_is_that_of_the_largest() -> None:
    """Of five steps in turn the fourth makes 16 KiB, the others 4."""
    turns = cycle((4, 4, 4, 16, 4))
    step = Step(lambda: float(numbers(next(turns))[0]), nn.Module(), NOTHING, None, cycle=5)
    assert tensor_peak(lambda: step).total == 16 * KIB


class Chain(nn.Module):
    """Exponentials of a parameter of 8 KiB, one after the other, of which each saves its result."""

    def __init__(self) -> None:
        super().__init__()
        self.x = nn.Parameter(numbers(8))

    def forward(self, length: int, piece: int = 0) -> torch.Tensor:
        def run(value: torch.Tensor, count: int) -> torch.Tensor:
            for _ in range(count):
                value = value.exp()
            return value

        if not piece:
            return run(self.x, length).sum()
        value: torch.Tensor = self.x
        for _ in range(length // piece):
            value = checkpoint(run, value, piece, use_reentrant=False)
        return value.sum()


def backward_peak(length: int, piece: int = 0, zero: bool = True) -> TensorPeak:
    model = Chain()

    def run() -> None:
        if zero:
            model.zero_grad()
        model(length, piece).backward()

    return peak_of(run, model)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_backward(length: int) -> None:
    """x, every result, and the gradient of the last one; the loss and its gradient, 4 bytes each."""
    found = backward_peak(length)
    assert found.total == (1 + length + 1) * 8 * KIB + 8
    assert (found.by_category["parameters"], found.by_category["gradients"]) == (8 * KIB, 0)


def test_backward_beside_gradients_that_stay() -> None:
    """Then the gradients of the step before count, too."""
    found = backward_peak(3, zero=False)
    assert found.total == (1 + 3 + 1 + 1) * 8 * KIB + 8
    assert found.by_category["gradients"] == 8 * KIB


def test_checkpointing() -> None:
    """Three pieces of two: x, the inputs of the later two, both results of the piece run again, and a gradient."""
    assert backward_peak(6, piece=2).total == (1 + 2 + 2 + 1) * 8 * KIB + 8 < backward_peak(6).total


def perceptron(depth: int, width: int) -> nn.Sequential:
    """Layers without bias, each followed by a tanh, which saves its result."""
    torch.manual_seed(0)
    layers = [[nn.Linear(width, width, bias=False), nn.Tanh()] for _ in range(depth)]
    return nn.Sequential(*[layer for pair in layers for layer in pair])


def mean_output(model: nn.Module, inputs: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return model(inputs).mean()


class Ones:
    """A perturbation that takes no memory."""

    chunk_numbers = 2**30

    def __init__(self, seed: int, parameters: int) -> None:
        pass

    def direction(self, chunks: list[torch.Tensor], step: int, query: int, group: int) -> Callable[[float], None]:
        def add(scale: float) -> None:
            for chunk in chunks:
                chunk.add_(scale)

        return add

    def tensors(self) -> list[torch.Tensor]:
        return []


def first_and_zeroth(depth: int, width: int, batch: int) -> tuple[TensorPeak, TensorPeak]:
    data = torch.zeros(batch, width), torch.zeros(batch)

    def step(optimizer: Callable[..., torch.optim.Optimizer]) -> Step:
        model = perceptron(depth, width)
        return optimizer_step(model, data, optimizer(model.parameters(), lr=0.0), mean_output)

    return tensor_peak(lambda: step(torch.optim.SGD)), tensor_peak(lambda: step(partial(ZOSGD, noise=Ones)))


def saved_bytes(depth: int, width: int, batch: int) -> int:
    """What autograd keeps of a forward pass beside parameters and inputs, by its own hooks."""
    model, inputs = perceptron(depth, width), torch.zeros(batch, width)
    known = {tensor.untyped_storage().data_ptr() for tensor in (inputs, *model.parameters())}
    saved: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = mean_output(model, inputs, inputs)
    assert loss.requires_grad
    return sum(size for place, size in saved.items() if place not in known)


@pytest.mark.parametrize(("depth", "width", "batch"), [(3, 16, 64), (8, 16, 512), (5, 8, 1000)])
def test_first_minus_zeroth_order_is_the_saved_activations(depth: int, width: int, batch: int) -> None:
    """Where activations dominate, the peak is where backpropagation begins: no gradient of a weight is there yet.

    Two more tensors of a layer's size are alive then, gradients of activations; so are two in the forward pass. Of
    scalars there are the loss and its gradient, 4 bytes each.
    """
    first, zeroth = first_and_zeroth(depth, width, batch)
    assert first.by_category["gradients"] == 0
    saved = saved_bytes(depth, width, batch)
    assert saved == depth * batch * width * 4
    assert first.total - zeroth.total == saved + 8


@pytest.mark.parametrize(("depth", "width"), [(3, 64), (6, 128)])
def test_first_minus_zeroth_order_is_the_gradients(depth: int, width: int) -> None:
    """At batch 1, parameters dominate, and the peak comes with the last gradient of a weight.

    That makes `depth` gradients; of activations the saved one that it was made from is left, if any, and its
    gradient: as many numbers as the two activations of the forward pass, so that only scalars differ.
    """
    first, zeroth = first_and_zeroth(depth, width, 1)
    difference = first.total - zeroth.total
    assert abs(difference - depth * width * width * 4) <= 2 * width * 4 + 8


def linear_step(method: str, batch: int = 16) -> Step:
    """One linear layer from 32 to 8 without bias: 1 KiB of weights."""
    model = nn.Linear(32, 8, bias=False)
    return prepare_step(method, model, (torch.ones(batch, 32), torch.zeros(batch, dtype=torch.int64)), IDLE)


def test_parameters_inputs_and_gradients_of_a_linear_layer() -> None:
    found = tensor_peak(lambda: linear_step("fo-ga")).by_category
    assert found["parameters"] == 32 * 8 * 4
    assert found["inputs"] == 16 * 32 * 4 + 16 * 8
    assert found["buffers"] == found["optimizer"] == found["noise"] == 0


@pytest.mark.parametrize(("depth", "width"), [(3, 64), (6, 128)])
def test_inference_has_no_gradients_and_ascent_has_one_a_parameter(depth: int, width: int) -> None:
    """At batch 1 the peak comes when SGD, which descends, turns the gradients round to ascend: all are in place then.

    Two that are turned round are there, since the last is let go when the next is made; and the loss, 4 bytes.
    """

    def categories(method: str) -> dict[str, int]:
        batch = torch.ones(1, width), torch.zeros(1, dtype=torch.int64)
        return tensor_peak(lambda: prepare_step(method, perceptron(depth, width), batch, IDLE)).by_category

    assert categories("forward")["gradients"] == 0
    peak = categories("fo-ga")
    assert peak["gradients"] == depth * width * width * 4
    assert peak["activations"] == 2 * width * width * 4 + 4


def test_momentum_counts_as_optimizer_state() -> None:
    model = nn.Linear(32, 8, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def run() -> float:
        optimizer.zero_grad()
        model(torch.ones(1, 32)).sum().backward()
        optimizer.step()
        return 0.0

    found = tensor_peak(lambda: Step(run, model, NOTHING, optimizer)).by_category
    assert found["optimizer"] == 32 * 8 * 4


def test_batch_norm_statistics_count_as_buffers() -> None:
    """Running mean and variance of 8 channels, and a counter."""
    model = nn.Sequential(nn.Linear(32, 8), nn.BatchNorm1d(8)).eval()
    batch = (torch.ones(2, 32), torch.zeros(2, dtype=torch.int64))
    assert tensor_peak(lambda: prepare_step("forward", model, batch, IDLE)).by_category["buffers"] == 2 * 8 * 4 + 8


def test_a_buffer_that_shares_a_parameters_storage_counts_as_the_parameter() -> None:
    model = nn.Linear(32, 8, bias=False)
    model.register_buffer("same", model.weight.detach())
    batch = (torch.ones(2, 32), torch.zeros(2, dtype=torch.int64))
    found = tensor_peak(lambda: prepare_step("forward", model, batch, IDLE)).by_category
    assert (found["parameters"], found["buffers"]) == (32 * 8 * 4, 0)


def test_tied_weights_count_once() -> None:
    model = nn.Sequential(nn.Linear(32, 32, bias=False), nn.Linear(32, 32, bias=False))
    model[1].weight = model[0].weight
    batch = (torch.ones(2, 32), torch.zeros(2, dtype=torch.int64))
    assert tensor_peak(lambda: prepare_step("forward", model, batch, IDLE)).by_category["parameters"] == 32 * 32 * 4


@pytest.mark.parametrize(
    ("name", "batch_size"),
    [
        *product(["cnn", "mobilenet_v3_small", "resnet18"], [1, 64]),
        *product(["resnet50", "vit_b_16"], [1]),  # whose parameters outweigh whatever a batch takes
    ],
)
def test_zeroth_order_takes_the_memory_of_inference_and_the_pool(name: str, batch_size: int) -> None:
    """To the byte where activations outweigh what it takes to make the pool; else inference and twice the pool at most.

    The pool is three times a power of two of float32 numbers, at most a 32nd of the parameters.
    """

    def peak(method: str) -> TensorPeak:
        model = build_model(name, ImageSpec(1, 32, 10), seed=0).eval()
        batch = (torch.zeros(batch_size, 1, 32, 32), torch.zeros(batch_size, dtype=torch.int64))
        return tensor_peak(lambda: prepare_step(method, model, batch, IDLE))

    floor, zeroth = peak("forward"), peak("zo-ga")
    parameters = floor.by_category["parameters"] // 4
    pool = 12 * min(2**18, max(2**10, 2 ** ((parameters // 32).bit_length() - 1)))
    assert floor.total + pool <= zeroth.total <= floor.total + 2 * pool
    if batch_size == 64:
        assert zeroth.by_category == floor.by_category | {"noise": pool}


def test_nothing_of_the_step_outlives_the_measurement() -> None:
    """Neither the model nor a parameter or its gradient, without any collection of garbage."""
    models, tensors = [], []

    def prepare() -> Step:
        made = linear_step("fo-ga")
        models.append(weakref.ref(made.model))

        def run() -> float:
            loss = made.run()
            tensors.extend(weakref.ref(of) for weight in made.model.parameters() for of in (weight, weight.grad))
            return loss

        return replace(made, run=run)

    with no_garbage():
        tensor_peak(prepare)
        assert len(tensors) == 2 * 2
        assert [dead() for dead in (*models, *tensors)] == [None] * (1 + 2 * 2)


def test_the_ledger_reads_the_same_on_one_and_two_threads() -> None:
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 2):
            torch.set_num_threads(threads)
            found.append(tensor_peak(lambda: linear_step("fo-ga", batch=64)))
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("name", "method", "size", "batches"),
    [
        ("cnn", "fo-ga", 16, (32, 64, 96)),
        ("cnn", "zo-ga", 16, (32, 64, 96)),
        ("resnet20", "fo-ga", 32, (16, 32, 48)),
        ("resnet20", "fo-ga-checkpoint", 16, (16, 32, 48)),
        ("resnet20", "zo-ga", 16, (16, 32, 48)),
    ],
)
def test_the_peak_is_affine_in_batch_size_where_activations_dominate(
    name: str, method: str, size: int, batches: tuple[int, int, int]
) -> None:
    def peak(batch: int) -> int:
        model = build_model(name, ImageSpec(1, size, 10), seed=0).eval()
        data = torch.zeros(batch, 1, size, size), torch.zeros(batch).long()
        return tensor_peak(lambda: prepare_step(method, model, data, IDLE)).total

    low, middle, high = map(peak, batches)
    assert high - middle == middle - low > 0


def test_categories_add_up_to_the_total() -> None:
    found = tensor_peak(lambda: linear_step("zo-ga"))
    assert sum(found.by_category.values()) == found.total
