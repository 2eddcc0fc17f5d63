"""The loop: what it does to a model, when it stops, what it watches."""

import copy
from collections.abc import Iterator
from itertools import pairwise

import pytest
import torch
from torch import nn

from zo_core import ZOSGD, cross_entropy, geometric_steps, take_step, unlearn
from zo_core.ascent.plan import steps_after

Batch = tuple[torch.Tensor, torch.Tensor]


def batches(seed: int = 0) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(8, 4, generator=generator), torch.randint(3, (8,), generator=generator)


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def counting(model: nn.Module, optimizer: torch.optim.Optimizer, **arguments: object) -> tuple[object, list[int]]:
    """Run with an evaluation that counts the batches seen."""
    seen: list[int] = []

    def stream() -> Iterator[Batch]:
        for number, batch in enumerate(batches(), start=1):
            seen.append(number)
            yield batch

    trajectory = unlearn(model, optimizer, stream(), evaluate=lambda: len(seen), **arguments)  # type: ignore[arg-type]
    return trajectory, seen


def test_first_order_ascent_is_torch_sgd(model: nn.Module) -> None:
    reference = copy.deepcopy(model).eval()
    by_hand = torch.optim.SGD(reference.parameters(), lr=0.1, maximize=True)
    for _, (inputs, targets) in zip(range(5), batches(), strict=False):
        by_hand.zero_grad()
        cross_entropy(reference, inputs, targets).backward()
        by_hand.step()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, maximize=True)
    unlearn(model, optimizer, batches(), evaluate=lambda: 0, completed=lambda _: False, max_steps=5)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), reference.parameters(), strict=True))


def test_zeroth_order_steps_build_no_graph(model: nn.Module) -> None:
    inputs, targets = next(batches())
    needs_gradient: list[bool] = []

    def loss() -> torch.Tensor:
        value = cross_entropy(model, inputs, targets)
        needs_gradient.append(value.requires_grad)
        return value

    take_step(ZOSGD(model.parameters(), lr=0.1, maximize=True), loss)
    assert needs_gradient == [False, False]


@pytest.mark.parametrize("maximize", [True, False])
def test_ascent_raises_the_loss_and_descent_lowers_it(model: nn.Module, maximize: bool) -> None:
    batch = next(batches())
    model.eval()
    before = cross_entropy(model, *batch).item()
    optimizer = ZOSGD(model.parameters(), lr=0.02, maximize=maximize, queries=8, seed=0)
    unlearn(model, optimizer, iter([batch] * 30), evaluate=lambda: 0, completed=lambda _: False, max_steps=30)
    after = cross_entropy(model, *batch).item()
    assert (after > before) is maximize


def test_batch_norm_is_frozen(model: nn.Module) -> None:
    before = model[1].running_mean.clone()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    unlearn(model.train(), optimizer, batches(), evaluate=lambda: 0, completed=lambda _: False, max_steps=3)
    assert torch.equal(model[1].running_mean, before)


@pytest.mark.parametrize(("zeroth_order", "updates"), [(False, 3), (True, 6)])
def test_in_train_mode_every_forward_pass_feeds_batch_norm(model: nn.Module, zeroth_order: bool, updates: int) -> None:
    """One pass a step by backpropagation, two by a zeroth-order step; batch norm counts them."""
    kind = ZOSGD if zeroth_order else torch.optim.SGD
    optimizer = kind(model.parameters(), lr=1e-3)
    arguments = {"evaluate": lambda: 0, "completed": lambda _: False, "max_steps": 3}
    unlearn(model.eval(), optimizer, batches(), train_mode=True, **arguments)  # type: ignore[arg-type]
    assert model[1].num_batches_tracked == updates


def test_it_goes_on_to_the_horizon_and_stops_there(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    trajectory, seen = counting(model, optimizer, completed=lambda n: n >= 7, max_steps=100, horizon=1.5)
    assert trajectory.completed == 7
    assert trajectory.steps == tuple(range(19))  # 7 * 2.5 = 17.5, rounded up
    assert trajectory.evaluations == trajectory.steps
    assert trajectory.at_completion() == 7
    assert len(seen) == 18


def test_it_gives_up_at_max_steps_with_a_last_look(model: nn.Module) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    trajectory, _ = counting(model, optimizer, completed=lambda _: False, max_steps=50, evaluate_at=(10, 20))
    assert trajectory.completed is None
    assert trajectory.at_completion() is None
    assert trajectory.steps == (0, 10, 20, 50)


def test_nothing_to_forget_takes_no_step(model: nn.Module) -> None:
    trajectory, seen = counting(
        model, torch.optim.SGD(model.parameters(), lr=1.0), completed=lambda _: True, max_steps=50
    )
    assert (trajectory.completed, trajectory.steps, seen) == (0, (0,), [])


@pytest.mark.parametrize("zeroth_order", [True, False])
def test_a_loss_that_is_not_finite_ends_the_run(model: nn.Module, zeroth_order: bool) -> None:
    def objective(model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = cross_entropy(model, inputs, targets)
        return loss / 0 if (inputs == poison).all() else loss

    poison = torch.full((8, 4), 13.0)
    kind = ZOSGD if zeroth_order else torch.optim.SGD
    optimizer = kind(model.parameters(), lr=0.01)
    good = next(batches())
    trajectory = unlearn(
        model,
        optimizer,
        iter([good, good, (poison, good[1]), good]),
        evaluate=lambda: 0,
        completed=lambda _: False,
        max_steps=4,
        objective=objective,
    )
    assert trajectory.diverged == 3
    assert trajectory.steps == (0, 1, 2)


@pytest.mark.parametrize("completed", [1, 3, 49, 50, 99, 100, 137, 1000, 10**6])
def test_just_after_completion_a_run_is_looked_at_more_often(completed: int) -> None:
    """At most 0.02 T* apart, or a step, until 1.2 T*; ascending, and from there as anywhere."""
    steps = [step for step, _ in zip(steps_after(completed, 1.1), range(200), strict=False)]
    assert steps[0] > completed
    close = [completed, *(step for step in steps if step <= 1.2 * completed)]
    assert all(0 < after - before <= max(1, 0.02 * completed) for before, after in pairwise(close))
    beyond = [step for step in steps if step > 1.2 * completed][1:]
    assert all(before < after <= 1.1 * before + 1 for before, after in pairwise(beyond))
    assert steps[-1] > 3 * completed


def test_after_completion_it_is_looked_at_where_it_is_said(model: nn.Module) -> None:
    """T* is step 10; the steps of the former schedule that lie beyond it are left out."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    trajectory, _ = counting(
        model,
        optimizer,
        completed=lambda n: n >= 8,
        max_steps=100,
        horizon=2.0,
        evaluate_at=(5, 10, 15, 20),
        evaluate_after=lambda completed: (completed + 1, completed + 3, completed + 12),
    )
    assert trajectory.completed == 10
    assert trajectory.steps == (0, 5, 10, 11, 13, 22, 30)


def test_geometric_steps_begin_one_by_one_and_then_grow_by_the_ratio() -> None:
    steps = [step for step, _ in zip(geometric_steps(1.1), range(60), strict=False)]
    assert steps[:10] == list(range(1, 11))
    ratios = [b / a for a, b in pairwise(steps[30:])]
    assert max(ratios) < 1.1 + 1 / steps[30]
    assert min(ratios) >= 1.1
