"""Dropout under `ZOSGD`: one mask in all passes of a step, other masks in the next step, and nobody else's draws."""

from collections.abc import Sequence

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zo_core import ZOSGD, GaussianNoise, cross_entropy, microbatched
from zo_core.engine.draws import SameDraws
from zo_core.noise import Direction


class WithDropout:
    """A linear model behind dropout, whose masks are kept as they are drawn."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        self.inputs = torch.randn(16, 20, generator=generator)
        self.targets = torch.randint(5, (16,), generator=generator)
        self.layer = nn.Linear(20, 5)
        self.masks: list[torch.Tensor] = []

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        mask = F.dropout(torch.ones_like(inputs), 0.3, training=True)
        self.masks.append(mask)
        return self.layer(inputs * mask)

    def loss(self) -> torch.Tensor:
        return F.cross_entropy(self(self.inputs), self.targets)


@pytest.mark.parametrize(("queries", "two_sided", "passes"), [(1, True, 2), (3, True, 6), (1, False, 2), (3, False, 4)])
def test_all_passes_of_a_step_have_one_mask_and_the_next_step_another(
    queries: int, two_sided: bool, passes: int
) -> None:
    model = WithDropout()
    optimizer = ZOSGD(model.layer.parameters(), lr=0.1, queries=queries, two_sided=two_sided)
    optimizer.step(model.loss)
    first, model.masks = model.masks, []
    optimizer.step(model.loss)
    assert len(first) == len(model.masks) == passes
    assert all(torch.equal(mask, first[0]) for mask in first)
    assert all(torch.equal(mask, model.masks[0]) for mask in model.masks)
    assert not torch.equal(first[0], model.masks[0])


@pytest.mark.parametrize("two_sided", [True, False])
def test_the_step_is_that_of_the_loss_with_the_mask_fixed(two_sided: bool) -> None:
    """To the bit: dropout changes which loss is differentiated, and adds nothing to the difference."""
    model, fixed = WithDropout(), WithDropout()
    fixed.layer.load_state_dict(model.layer.state_dict())
    ZOSGD(model.layer.parameters(), lr=0.1, two_sided=two_sided).step(model.loss)
    masked = fixed.inputs * model.masks[0]
    optimizer = ZOSGD(fixed.layer.parameters(), lr=0.1, two_sided=two_sided)
    optimizer.step(lambda: F.cross_entropy(fixed.layer(masked), fixed.targets))
    assert all(torch.equal(p, q) for p, q in zip(model.layer.parameters(), fixed.layer.parameters(), strict=True))


class SeedingNoise(GaussianNoise):
    """As the published MeZO does it: every pass of noise seeds the generator that dropout draws from."""

    def direction(self, chunks: Sequence[torch.Tensor], step: int, query: int, group: int) -> Direction:
        inner = super().direction(chunks, step, query, group)

        def add(scale: float) -> None:
            torch.manual_seed(query)
            inner(scale)

        return add


def test_noise_of_ones_own_that_seeds_the_generator_changes_no_mask() -> None:
    model = WithDropout()
    ZOSGD(model.layer.parameters(), lr=0.1, queries=2, noise=SeedingNoise).step(model.loss)
    assert len(model.masks) == 4
    assert all(torch.equal(mask, model.masks[0]) for mask in model.masks)


def test_a_step_that_fails_draws_no_more_than_its_first_passes() -> None:
    """The next step draws as if the failed one had ended where it failed: after one pass of random numbers."""
    model = WithDropout()
    optimizer = ZOSGD(model.layer.parameters(), lr=0.1)

    def fails_at_the_second() -> torch.Tensor:
        loss = model.loss()
        return loss * torch.nan if len(model.masks) == 2 else loss

    torch.manual_seed(1)
    with pytest.raises(FloatingPointError):
        optimizer.step(fails_at_the_second)
    after = torch.rand(3)
    torch.manual_seed(1)
    model.loss()
    assert torch.equal(torch.rand(3), after)


def test_a_step_takes_as_many_draws_as_one_pass() -> None:
    model = WithDropout()
    torch.manual_seed(1)
    ZOSGD(model.layer.parameters(), lr=0.1, queries=2).step(model.loss)
    after_a_step = torch.rand(3)
    torch.manual_seed(1)
    model.loss()
    assert torch.equal(torch.rand(3), after_a_step)


def test_every_slice_of_a_batch_has_a_mask_of_its_own_in_both_passes() -> None:
    model = WithDropout()
    objective = microbatched(cross_entropy, 4)
    optimizer = ZOSGD(model.layer.parameters(), lr=0.1)
    optimizer.step(lambda: objective(model, model.inputs, model.targets))
    ahead, behind = model.masks[:4], model.masks[4:]
    assert all(torch.equal(one, other) for one, other in zip(ahead, behind, strict=True))
    assert not any(torch.equal(ahead[0], mask) for mask in ahead[1:])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_masks_on_a_gpu_are_the_same_in_both_passes() -> None:
    model = WithDropout()
    model.layer.cuda()
    model.inputs, model.targets = model.inputs.cuda(), model.targets.cuda()
    ZOSGD(model.layer.parameters(), lr=0.1).step(model.loss)
    assert torch.equal(model.masks[0], model.masks[1])


def test_what_was_drawn_since_is_noticed_until_it_is_put_back() -> None:
    draws = SameDraws([])
    assert not draws.drawn()
    torch.rand(1)
    assert draws.drawn()
    draws.again()
    assert not draws.drawn()
