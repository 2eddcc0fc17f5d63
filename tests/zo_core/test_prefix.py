"""Prefix reuse against the same steps without it, to the bit, and against counts of what was really computed."""

import copy
import gc
import pickle
import re
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VisionTransformer

from bench.workloads.models import ImageSpec, build_model
from zo_core import ZOSGD, Objective, cross_entropy, microbatched, neggrad_plus
from zo_core.prefix import PrefixReuse, share_from

Batch = tuple[Tensor, ...]


class Stepper:
    """Says what a step moves, as an optimizer does."""

    moving: list[Tensor] | None = None

    @contextmanager
    def step(self, parameters: Iterable[Tensor]) -> Iterator[None]:
        self.moving = list(parameters)
        try:
            yield
        finally:
            self.moving = None


class Run:
    """Steps of a model, with reuse or without."""

    def __init__(self, model: nn.Module, reused: bool = True, objective: Objective = cross_entropy) -> None:
        self.model, self.stepper = model, Stepper()
        self.reuse = PrefixReuse(model, self.stepper)
        self.objective = self.reuse.objective(objective) if reused else objective
        self.optimizers: dict[tuple[int, ...], ZOSGD] = {}

    def step(self, parameters: Iterable[Tensor], batch: Batch) -> float:
        """Move some of the parameters."""
        moving = list(parameters)
        key = tuple(map(id, moving))
        optimizer = self.optimizers.setdefault(key, ZOSGD(moving, lr=1e-4, seed=len(self.optimizers)))
        with self.stepper.step(moving):
            return optimizer.step(lambda: self.objective(self.model, *batch))


def batch(shape: tuple[int, ...] = (4, 6), seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator), torch.arange(shape[0]) % 3


def perceptron(*between: nn.Module) -> nn.Sequential:
    """Layers 6 -> 8 -> 8 -> 3, and what is given behind the first; in eval mode."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Linear(6, 8), *between, nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)]
        return nn.Sequential(*layers).eval()


def small_vit() -> nn.Module:
    """Of the class of torchvision's ViT-B/16, with a thousandth of its weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VisionTransformer(32, 8, num_layers=4, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=3).eval()


def head(model: nn.Module) -> list[Tensor]:
    return list(model.parameters())[-2:]


def agree(model: nn.Module, steps: Callable[[Run], list[float]], objective: Objective = cross_entropy) -> PrefixReuse:
    """Take the steps with reuse and, from the same random numbers, on a copy without it: all is the same."""
    plain, run = Run(copy.deepcopy(model), reused=False, objective=objective), Run(model, objective=objective)
    torch.manual_seed(3)
    expected = steps(plain)
    torch.manual_seed(3)
    assert steps(run) == expected
    assert len(set(expected)) > 1
    for name, tensor in plain.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor), name
    return run.reuse


def count_calls(module: nn.Module) -> list[int]:
    """A list that grows with every pass through the module."""
    calls: list[int] = []
    module.register_forward_pre_hook(lambda *_: calls.append(1))
    return calls


@pytest.mark.parametrize(
    ("name", "channels", "size"),
    [
        ("resnet20", 3, 32),
        ("resnet18", 3, 32),
        ("cnn", 1, 28),
        ("small ViT", 3, 32),
        ("mobilenet_v3_small", 3, 32),
    ],
)
def test_steps_are_those_without_reuse_to_the_bit(name: str, channels: int, size: int) -> None:
    """Blocks near the output, in the middle and near the inputs; one step on a batch and two on another."""
    model = small_vit() if name == "small ViT" else build_model(name, ImageSpec(channels, size, 3), seed=0).eval()
    shape = (2, channels, size, size)

    def steps(run: Run) -> list[float]:
        parameters = list(run.model.parameters())
        middle = len(parameters) // 2
        blocks = [parameters[-2:], parameters[middle : middle + 3], parameters[1:3]]
        one, other = batch(shape, seed=1), batch(shape, seed=2)
        return [run.step(block, batch_) for block in blocks for batch_ in (one, other, other)]

    reuse = agree(model, steps)
    assert reuse.reason is None
    assert reuse.forwards < 16  # of 18 evaluations, and one more to try it out


def test_the_prefix_is_computed_once_for_a_batch() -> None:
    model = perceptron()
    run, first, last = Run(model), count_calls(model[0]), count_calls(model[-1])
    one, other = batch(seed=1), batch(seed=2)
    run.step(head(model), one)
    assert (len(first), len(last)) == (3, 3)  # twice to try it out, and once to keep it
    run.step(head(model), one)
    assert (len(first), len(last)) == (3, 5)
    run.step(head(model), other)
    run.step(head(model), other)
    assert (len(first), len(last)) == (4, 9)


def test_a_value_is_kept_of_each_batch_of_an_objective() -> None:
    """Forget and retain batch in turn: the first layer runs once for each of the four; but for the first one, of which
    nothing is kept when the cuts are tried out, twice more.
    """
    pairs, calls = [(*batch(seed=seed), *batch(seed=seed + 1)) for seed in (1, 3)], []

    def steps(run: Run) -> list[float]:
        calls[:] = [count_calls(run.model[0]), count_calls(run.model[-1])]
        return [run.step(head(run.model), pair) for pair in pairs for _ in range(2)]

    assert agree(perceptron(), steps, neggrad_plus(0.5)).reason is None
    assert [len(of_layer) for of_layer in calls] == [6, 17]


@pytest.mark.parametrize(
    ("objective", "tensors", "expected"),
    [
        (cross_entropy, 2, [0]),
        (neggrad_plus(0.5), 4, [0, 1]),  # the forget batch's, when the retain batch comes in
        (microbatched(cross_entropy, 2), 2, [0, 0, 0, 0]),  # slices are others in every evaluation
    ],
)
def test_only_values_of_the_batch_are_kept_and_of_no_former_one(
    objective: Objective, tensors: int, expected: list[int]
) -> None:
    """How many of the last layer's inputs are alive whenever the first layer runs, in a step on another batch."""
    model = perceptron()
    run, given, alive = Run(model, objective=objective), [], []
    model[0].register_forward_pre_hook(lambda *_: alive.append(sum(one() is not None for one in given)))
    model[-1].register_forward_pre_hook(lambda module, inputs: given.append(weakref.ref(inputs[0])))
    one, other = ((*batch(seed=seed), *batch(seed=seed + 1))[:tensors] for seed in (1, 3))
    run.step(head(model), one)
    alive.clear()
    run.step(head(model), other)
    assert alive == expected


def test_frozen_layers_are_a_prefix() -> None:
    model = perceptron()
    model[0].requires_grad_(False)
    first = count_calls(model[0])
    optimizer, stepper = ZOSGD(model.parameters(), lr=0.1), Stepper()
    objective = PrefixReuse(model, stepper).objective(cross_entropy)
    one = batch()
    for _ in range(5):
        with stepper.step(parameter for parameter in model.parameters() if parameter.requires_grad):
            optimizer.step(lambda: objective(model, *one))
    assert len(first) == 3


def test_a_later_cut_begins_at_an_earlier_one() -> None:
    model = perceptron()
    run, first, middle = Run(model), count_calls(model[0]), count_calls(model[2])
    one = batch()
    run.step(model[2].parameters(), one)
    assert (len(first), len(middle)) == (3, 3)
    run.step(head(model), one)
    assert (len(first), len(middle)) == (3, 4)


def test_passes_are_counted_by_their_multiply_adds() -> None:
    """Of a perceptron: 6 * 8, 8 * 8 and 8 * 3 a sample."""
    model = perceptron()
    run, one, last = Run(model), batch(), 24 / (48 + 64 + 24)
    run.step(head(model), one)
    assert run.reuse.forwards == pytest.approx(3)
    run.step(head(model), one)
    assert run.reuse.forwards == pytest.approx(3 + 2 * last)
    run.step(model.parameters(), one)
    assert run.reuse.forwards == pytest.approx(5 + 2 * last)
    model[0].register_forward_hook(lambda *_: None)  # tried out anew; what was counted stays
    run.step(head(model), one)
    run.step(head(model), one)
    assert run.reuse.forwards == pytest.approx(8 + 4 * last)
    run.objective(model, *one)
    assert run.reuse.forwards == pytest.approx(9 + 4 * last)


def test_share_from_is_that_of_multiply_adds() -> None:
    model, inputs = perceptron(), batch()[0]
    assert share_from(model, model.parameters(), inputs) == 1
    assert share_from(model, model[2].parameters(), inputs) == pytest.approx(88 / 136)
    assert share_from(model, [*head(model), model[2].bias], inputs) == pytest.approx(88 / 136)
    assert share_from(model, [nn.Parameter(torch.ones(1))], inputs) == 0
    assert share_from(nn.Sequential(nn.ReLU(), nn.PReLU()), [], inputs) == 0
    prelu = nn.Sequential(nn.ReLU(), nn.PReLU())
    assert share_from(prelu, prelu.parameters(), inputs) == 1  # nothing to count
    assert share_from(Branching(), head(Branching()), inputs) == 1


def test_attention_is_counted_by_its_parts() -> None:
    """(N, L, E) by multi-head attention: L * E * 4 E for the projections, 2 * L * L * E for the rest; then E * E."""

    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.last = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.attention(x, x, x, need_weights=False)[0].relu())

    model = Attending().eval()
    length, width = 5, 8
    attention, last = length * width * 4 * width + 2 * length * length * width, length * width * width
    share = share_from(model, model.last.parameters(), torch.ones(2, length, width))
    assert share == pytest.approx(last / (attention + last))


def test_counting_changes_nothing() -> None:
    """Neither buffers nor what is drawn next, in train mode."""
    model = perceptron(nn.BatchNorm1d(8), nn.Dropout(0.5)).train()
    before, drawn = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    assert share_from(model, head(model), batch()[0]) == pytest.approx(24 / 136)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), drawn)


def replaced(model: nn.Sequential) -> None:
    model[0] = nn.Linear(6, 8)


def assigned(model: nn.Sequential) -> None:
    state = {name: tensor * 2 for name, tensor in model.state_dict().items()}
    model.load_state_dict(state, assign=True)


def loaded(model: nn.Sequential) -> None:
    model.load_state_dict({name: tensor * 2 for name, tensor in model.state_dict().items()})


def given_other_data(model: nn.Sequential) -> None:
    model[0].weight.data = model[0].weight.data * 2


def normalized_otherwise(model: nn.Sequential) -> None:
    model[1].running_mean.add_(1)


def hooked(model: nn.Sequential) -> None:
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)


def in_train_mode(model: nn.Sequential) -> None:
    model.train()


def patched(model: nn.Sequential) -> None:
    forward = model[2].forward
    model[2].forward = lambda value: forward(value) * 2


@pytest.mark.parametrize(
    "change",
    [replaced, assigned, loaded, given_other_data, normalized_otherwise, hooked, in_train_mode, patched],
)
def test_what_changes_the_prefix_is_noticed(change: Callable[[nn.Sequential], None]) -> None:
    one = batch()

    def steps(run: Run) -> list[float]:
        losses = [run.step(head(run.model), one) for _ in range(2)]
        change(run.model)
        return losses + [run.step(head(run.model), one) for _ in range(3)]

    reuse = agree(perceptron(nn.BatchNorm1d(8)), steps)
    assert reuse.reason is None


@pytest.mark.parametrize("queries", [1, 2])
def test_what_the_optimizer_moves_before_the_kept_value_is_noticed(queries: int) -> None:
    """Blocks in random order on one batch: a late one, whose prefix is kept, an early one, and a late one again."""

    def run(reused: bool) -> tuple[list[float], list[bool], nn.Module, float]:
        model, one, late = perceptron(), batch(), []
        optimizer = ZOSGD(model.parameters(), lr=0.1, blocks=6, queries=queries, seed=0)
        reuse = PrefixReuse(model, optimizer)
        objective = reuse.objective(cross_entropy) if reused else cross_entropy

        def loss() -> Tensor:
            assert optimizer.moving is not None
            late.append(all(any(part is one for one in head(model)) for part in optimizer.moving))
            return objective(model, *one)

        return [optimizer.step(loss) for _ in range(18)], late, model, reuse.forwards

    expected, order, plain, _ = run(reused=False)
    losses, _, model, forwards = run(reused=True)
    early = order.index(False, order.index(True))
    assert True in order[early:]
    assert losses == expected
    for now, wanted in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(now, wanted)
    assert forwards < len(order) - 2


def test_a_batch_changed_in_place_is_another() -> None:
    def steps(run: Run) -> list[float]:
        inputs, targets = batch()
        losses = [run.step(head(run.model), (inputs, targets)) for _ in range(2)]
        inputs.mul_(2)
        return losses + [run.step(head(run.model), (inputs, targets)) for _ in range(2)]

    agree(perceptron(), steps)


def test_autocast_is_another_condition() -> None:
    one = batch()

    def steps(run: Run) -> list[float]:
        losses = []
        for on in (False, False, True, True, False):
            with torch.autocast("cpu", torch.bfloat16, enabled=on, cache_enabled=False):
                losses.append(run.step(head(run.model), one))
        return losses

    agree(perceptron(), steps)


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.BatchNorm1d(8), nn.BatchNorm1d(8, momentum=None)])
@pytest.mark.parametrize("place", [1, 4])
def test_random_and_normalizing_layers_in_train_mode_run_every_time(layer: nn.Module, place: int) -> None:
    """In the prefix, or behind a cut that is before them."""
    one, model = batch(), perceptron()
    model.insert(place, layer)
    model.train()
    calls: list[list[int]] = []

    def steps(run: Run) -> list[float]:
        calls[:] = [count_calls(run.model[0]), count_calls(run.model[place])]
        return [run.step(head(run.model), one) for _ in range(4)]

    agree(model, steps)
    assert [len(of_layer) for of_layer in calls] == [3, 9]  # and once to try it out


def test_what_cannot_be_kept_anywhere_is_said() -> None:
    class Noisy(nn.Module):
        def forward(self, value: Tensor) -> Tensor:
            return value + torch.randn_like(value)

    one = batch()
    reuse = agree(nn.Sequential(Noisy(), perceptron()), lambda run: [run.step(head(run.model), one) for _ in range(3)])
    assert reuse.reason is not None
    assert "random" in reuse.reason
    assert reuse.forwards == 7


class Branching(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = perceptron()

    def forward(self, value: Tensor) -> Tensor:
        return self.layers(value) if value.sum() > 0 else self.layers(-value)


class Skipping(Branching):
    def forward(self, value: Tensor) -> Tensor:
        return self.layers(value) + value[:, :3]


class Baking(Branching):
    def forward(self, value: Tensor) -> Tensor:
        return self.layers(value * dict(self.named_parameters())["layers.0.bias"].mean())


class Casting(Branching):
    def forward(self, value: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.layers(value).float()


class Falling(Branching):
    def forward(self, value: Tensor) -> Tensor:
        if isinstance(value, Tensor):
            return self.layers(value)
        return self.layers(value[:, 1:])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Branching, "torch.fx cannot trace it.*control flow"),
        (Skipping, "nowhere in it is one value alone alive"),
        (Baking, "tensors that torch.fx does not follow"),
        (Casting, "something else"),
        (Falling, "cannot be run in segments.*shapes"),
    ],
)
def test_what_cannot_be_cut_runs_whole_and_says_so(kind: type[Branching], words: str) -> None:
    model, one = kind().eval(), batch()
    before = set(vars(model))
    reuse = agree(model, lambda run: [run.step(head(run.model), one) for _ in range(3)])
    assert reuse.reason is not None
    assert re.search(words, reuse.reason)
    assert set(vars(model)) == before


def test_a_forward_that_was_replaced_runs_as_it_is() -> None:
    model, one = perceptron(), batch()
    run = Run(model)
    model.forward = lambda value: nn.Sequential.forward(model, value) * 0
    with run.stepper.step(head(model)):
        loss = run.objective(model, *one)
    assert loss.item() == pytest.approx(torch.tensor(3.0).log().item())


def test_optional_arguments_have_their_defaults() -> None:
    class Masked(Branching):
        def forward(self, value: Tensor, mask: Tensor | None = None) -> Tensor:
            return self.layers(value if mask is None else value * mask)

    one = batch()
    reuse = agree(Masked().eval(), lambda run: [run.step(head(run.model), one) for _ in range(3)])
    assert reuse.reason is None
    assert reuse.forwards < 4


def test_a_value_that_is_overwritten_behind_the_cut_is_not_kept() -> None:
    """The last block begins by working in place on what it is given, and adds it in the end."""

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, value: Tensor) -> Tensor:
            rest = value.view(-1, 8).mul_(2)
            return self.layer(rest) + value

    one, calls = batch(), []

    def steps(run: Run) -> list[float]:
        calls[:] = [count_calls(run.model[2]), count_calls(run.model[3])]
        return [run.step(run.model[4].parameters(), one) for _ in range(4)]

    assert agree(perceptron(nn.Tanh(), Block(), nn.Tanh(), Block()), steps).reason is None
    assert [len(of_layer) for of_layer in calls] == [3, 9]


@pytest.mark.parametrize("tie", ["module", "parameter", "memory"])
def test_a_tied_parameter_is_moved_where_it_is_first_used(tie: str) -> None:
    def tied(model: nn.Sequential) -> nn.Sequential:
        early, late = model[0], model[-1]
        if tie == "module":
            model[4] = early
        elif tie == "parameter":
            late.weight = early.weight
        else:
            late.weight = nn.Parameter(early.weight.data)
        return model

    with torch.random.fork_rng():
        torch.manual_seed(0)
        square = nn.Sequential(*(layer for _ in range(4) for layer in (nn.Linear(6, 6), nn.Tanh())), nn.Linear(6, 6))
    one = batch()

    def steps(run: Run) -> list[float]:
        model = tied(run.model)
        moved = [[model[-1].weight], [model[4].weight], list(model[6].parameters())]
        return [run.step(parameters, one) for parameters in moved for _ in range(2)]

    assert agree(square.eval(), steps).reason is None


def test_a_parameter_used_twice_is_moved_where_it_is_first_used() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.first, self.last = nn.Parameter(torch.ones(8)), nn.Linear(6, 8), perceptron()[-1]

        def forward(self, value: Tensor) -> Tensor:
            return self.last((self.first(value) * self.scale).tanh() * self.scale)

    model, one = Scaled(), batch()
    assert share_from(model, [model.scale], one[0]) == pytest.approx(24 / 72)
    reuse = agree(model, lambda run: [run.step([run.model.scale], one) for _ in range(4)])
    assert reuse.reason is None
    assert reuse.forwards == pytest.approx(3 + 6 * 24 / 72)


@pytest.mark.parametrize("failing", range(1, 6))
def test_an_exception_leaves_the_forward_as_it_was(failing: int) -> None:
    """In any pass, those that try it out and those that begin late among them; then all goes on as it should."""
    model, one = perceptron(), batch()
    calls = 0

    def fail(module: nn.Module, inputs: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == failing:
            raise KeyboardInterrupt

    model[-1].register_forward_pre_hook(fail)
    run = Run(model)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012
        for _ in range(3):
            run.step(head(model), one)
    assert "forward" not in vars(model)
    assert agree(model, lambda again: [again.step(head(again.model), one) for _ in range(3)]).reason is None
    with run.stepper.step(head(model)), torch.no_grad():
        assert run.objective(model, *one) == cross_entropy(model, *one)


def test_the_model_can_be_copied_and_pickled_as_before() -> None:
    model, one = perceptron(), batch()
    before = pickle.dumps(model)
    run = Run(model)
    with run.stepper.step(head(model)), torch.no_grad():
        for _ in range(3):
            run.objective(model, *one)
        assert pickle.dumps(model) == before
        copied = copy.deepcopy(model)
        copied[0].weight.mul_(2)
        assert run.objective(copied, *one) == cross_entropy(copied, *one)


def test_nothing_waits_for_the_garbage_collector() -> None:
    model, one = perceptron(), batch()
    run = Run(model)
    for _ in range(2):
        run.step(head(model), one)
    gone, collecting = weakref.ref(model[0].weight), gc.isenabled()
    gc.disable()
    try:
        del run, model
        assert gone() is None
    finally:
        if collecting:
            gc.enable()


def test_hooks_run_at_every_evaluation() -> None:
    """The network's own, and those of a module whose inside would be traced otherwise."""
    model = nn.Sequential(perceptron(), nn.Tanh(), nn.Linear(3, 3))
    inner, own = count_calls(model[0]), count_calls(model)
    model.register_forward_hook(lambda module, inputs, output: output * 2)
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    one = batch()
    assert agree(model, lambda run: [run.step(head(run.model), one) for _ in range(3)]).reason is None
    assert len(own) == 6 + 6  # the copy's hooks write to the same list
    assert len(inner) == 3 + 6


def test_reuse_within_reuse_does_no_harm() -> None:
    one = batch()

    def steps(run: Run) -> list[float]:
        if run.objective is not cross_entropy:
            run.objective = run.reuse.objective(PrefixReuse(run.model, run.stepper).objective(run.objective))
        return [run.step(head(run.model), one) for _ in range(3)]

    agree(perceptron(), steps)


def test_with_gradients_a_pass_is_whole() -> None:
    model, one = perceptron(), batch()
    run = Run(model)
    with run.stepper.step(head(model)):
        for _ in range(3):
            loss = run.objective(model, *one)
    found = torch.autograd.grad(loss, list(model.parameters()))
    expected = torch.autograd.grad(F.cross_entropy(model(one[0]), one[1]), list(model.parameters()))
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("where", ["batch", "parameters", "passes"])
def test_inference_mode_is_no_error(where: str) -> None:
    with torch.inference_mode() if where == "parameters" else nullcontext():
        model = perceptron()
    with torch.inference_mode() if where == "batch" else nullcontext():
        one = batch()
    run = Run(model)
    with torch.inference_mode() if where == "passes" else torch.no_grad(), run.stepper.step(head(model)):
        losses = {run.objective(model, *one).item() for _ in range(3)}
    with torch.no_grad():
        assert losses == {cross_entropy(model, *one).item()}


def test_dead_values_are_freed_and_the_kept_one_before_another_is_computed() -> None:
    """What each layer is given, and what of it is alive when the last layer runs, and the first."""
    model = perceptron()
    given: dict[int, weakref.ref[Tensor]] = {}
    alive: dict[int, list[int]] = {}

    def note(place: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            alive[place] = [other for other, ref in given.items() if other and ref() is not None]
            given[place] = weakref.ref(inputs[0])

        return hook

    for place, layer in enumerate(model):
        layer.register_forward_pre_hook(note(place))
    run = Run(model)
    middle = list(model[2].parameters())
    for seed in (1, 2):
        one = batch(seed=seed)
        for _ in range(2):
            run.step(middle, one)
        assert alive[4] == [2]
        del one
    fresh = batch(seed=3)
    given_before = given[2]
    run.step(middle, fresh)
    assert alive[0] == []
    assert given_before() is None
