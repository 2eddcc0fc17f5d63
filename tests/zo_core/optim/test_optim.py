"""ZOSGD against closed forms: the estimator's mean and variance, mirror symmetry, replay, and what it may not touch."""

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from zo_core import ZOSGD, PooledNoise
from zo_core.noise import NOISES, GaussianNoise


def quadratic(dimension: int = 6) -> tuple[nn.Parameter, torch.Tensor, torch.Tensor]:
    """theta, A and b of L = theta' A theta / 2 + b' theta, whose gradient is A theta + b."""
    generator = torch.Generator().manual_seed(1)
    root = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)
    theta = nn.Parameter(torch.randn(dimension, generator=generator, dtype=torch.float64))
    return theta, root @ root.T / dimension, torch.randn(dimension, generator=generator, dtype=torch.float64)


def ramp() -> nn.Parameter:
    return nn.Parameter(torch.linspace(-3, 3, 50))


@pytest.mark.parametrize("queries", [1, 8])
@pytest.mark.parametrize("two_sided", [True, False])
@pytest.mark.parametrize("noise", NOISES)
def test_the_estimate_has_the_mean_and_variance_of_spsa(noise: str, two_sided: bool, queries: int) -> None:
    """On a quadratic the two-sided difference is the exact directional derivative g.z, so each estimate is (g.z) z.

    Its mean is g, and the variance of its component i is |g|^2 + (k - 2) g_i^2, with k the fourth moment of z: 3 for
    normal numbers, 1 for signs; divided by the number of queries. One-sided, (eps / 2) (z' A z) z comes on top: odd in
    z, so it has mean 0, and at eps = 1e-3 its variance is below 1e-5 of the whole. The mean must lie within 5 standard
    errors, the variance within 20 %, which is more than 5 of its standard errors for these heavy-tailed products.
    """
    theta, a, b = quadratic()
    gradient = (a @ theta + b).detach()
    start = theta.detach().clone()
    optimizer = ZOSGD([theta], lr=1.0, eps=1e-3, queries=queries, two_sided=two_sided, noise=noise, seed=0)
    estimates = []
    for _ in range(8000 // queries):
        optimizer.step(lambda: theta @ a @ theta / 2 + b @ theta)
        estimates.append(start - theta.detach())
        theta.data.copy_(start)
    found = torch.stack(estimates)
    fourth_moment = 1 if noise == "rademacher" else 3
    variance = (gradient.square().sum() + (fourth_moment - 2) * gradient.square()) / queries
    assert ((found.mean(0) - gradient).abs() < 5 * (variance / len(found)).sqrt()).all()
    assert found.var(0).sum().item() == pytest.approx(variance.sum().item(), rel=0.2)


@pytest.mark.parametrize("queries", [1, 2])
@pytest.mark.parametrize("blocks", [2, 3])
def test_an_estimate_over_blocks_has_a_known_mean_and_variance(blocks: int, queries: int) -> None:
    """A direction is sqrt(k) z in one block of k, each block as likely: (k g_b . z_b) z_b, and 0 elsewhere.

    Component i of block b: mean g_i, second moment k (|g_b|^2 + 2 g_i^2) for normal numbers. All orders of the blocks
    being alike, the queries of a step are uncorrelated where they are of different cycles, and no more often of one
    block than independent ones where they are of the same: the variance is divided by the queries, or smaller.
    """
    theta, a, b = quadratic()
    gradient = (a @ theta + b).detach()
    start = theta.detach().clone()
    optimizer = ZOSGD([theta], lr=1.0, blocks=blocks, queries=queries, noise="gaussian", seed=0)
    estimates = []
    for _ in range(12_000 // queries):
        optimizer.step(lambda: theta @ a @ theta / 2 + b @ theta)
        estimates.append(start - theta.detach())
        theta.data.copy_(start)
    found = torch.stack(estimates)
    of_block = gradient.view(blocks, -1).square().sum(1, keepdim=True).expand(-1, len(b) // blocks).reshape(-1)
    variance = (blocks * (of_block + 2 * gradient.square()) - gradient.square()) / queries
    assert ((found.mean(0) - gradient).abs() < 5 * (variance / len(found)).sqrt()).all()
    if queries == 1:
        assert found.var(0).sum().item() == pytest.approx(variance.sum().item(), rel=0.2)
    else:
        assert found.var(0).sum().item() < 1.2 * variance.sum().item()


@pytest.mark.parametrize("queries", [1, 3])
def test_a_normalized_step_is_its_rise_over_the_root_mean_square_of_all_so_far(queries: int) -> None:
    """On a quadratic the rise over a length of eps along z is eps g.z exactly.

    A step goes by lr rise / root along -z, averaged over the queries. The root is that of the weighted mean of the
    squared rises so far; a step weighs 0.9 of the one after it.
    """
    theta, a, b = quadratic()
    optimizer = ZOSGD([theta], lr=0.05, eps=1e-3, queries=queries, noise="gaussian", normalize=True, seed=4)
    noise, squares = GaussianNoise(4), []
    for step in range(30):
        start, z = theta.detach().clone(), torch.zeros(queries, len(b), dtype=torch.float64)
        for query, along in enumerate(z):
            noise.direction([along], step, query, 0)(1.0)
        rises = 1e-3 * z @ (a @ start + b)
        squares.append(rises.square().mean().item())
        weights = [0.9 ** (step - earlier) for earlier in range(step + 1)]
        square = sum(weight * of_step for weight, of_step in zip(weights, squares, strict=True)) / sum(weights)
        optimizer.step(lambda: theta @ a @ theta / 2 + b @ theta)
        assert optimizer.rises == pytest.approx(rises.tolist(), rel=1e-6, abs=1e-12)
        assert torch.allclose(theta, start - 0.05 * rises @ z / square**0.5 / queries, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("noise", "blocks"), [("gaussian", 1), ("pooled", 1), ("gaussian", 3)])
def test_the_first_normalized_step_has_a_known_mean_and_variance(noise: str, blocks: int) -> None:
    """g.z over its own root is its sign: the step goes by lr along -sign(g.z) z, with z sqrt(k) as long in one block.

    Along u = g_b / |g_b| that is |z.u|, of mean sqrt(2 / pi) for normal numbers; across it z has nothing to do with the
    sign, and the mean is 0. So the mean is sqrt(2 / pi / k) u in each of k blocks. A component has second moment 1, as
    that of z, and so variance 1 - mean^2; its square has variance 3 k - 1. Both must lie within 5 standard errors.
    """
    theta, a, b = quadratic()
    gradient = (a @ theta + b).detach()
    start = theta.detach().clone()
    estimates = []
    for seed in range(3000):
        optimizer = ZOSGD([theta], lr=1.0, blocks=blocks, noise=noise, normalize=True, seed=seed)
        optimizer.step(lambda: theta @ a @ theta / 2 + b @ theta)
        estimates.append(start - theta.detach())
        theta.data.copy_(start)
    found = torch.stack(estimates)
    of_block = gradient.view(blocks, -1)
    mean = ((2 / math.pi / blocks) ** 0.5 * of_block / of_block.norm(dim=1, keepdim=True)).view(-1)
    assert ((found.mean(0) - mean).abs() < 5 * ((1 - mean.square()) / len(found)).sqrt()).all()
    assert ((found.square().mean(0) - 1).abs() < 5 * ((3 * blocks - 1) / len(found)) ** 0.5).all()


def moved_blocks(optimizer: ZOSGD, parameters: list[nn.Parameter], steps: int) -> list[list[int]]:
    """The places, counted over all parameters, that each step changes."""
    result = []
    for _ in range(steps):
        before = torch.cat([parameter.detach().clone().view(-1) for parameter in parameters])
        optimizer.step(lambda: sum(parameter.square().sum() for parameter in parameters))
        after = torch.cat([parameter.detach().view(-1) for parameter in parameters])
        result.append((before != after).nonzero().view(-1).tolist())
    return result


def test_blocks_are_equal_shares_each_visited_once_a_cycle_in_random_order() -> None:
    parameters = [nn.Parameter(torch.ones(3, 5)), nn.Parameter(torch.ones(7)), nn.Parameter(torch.ones(1))]
    optimizer = ZOSGD([{"params": parameters[:1]}, {"params": parameters[1:], "eps": 1e-2}], lr=1e-3, blocks=4)
    moved = moved_blocks(optimizer, parameters, 40)
    expected = [list(range(5)), list(range(5, 11)), list(range(11, 17)), list(range(17, 23))]  # of 23 numbers
    for cycle in range(10):
        assert sorted(moved[4 * cycle : 4 * cycle + 4]) == expected
    assert len({tuple(map(tuple, moved[4 * cycle : 4 * cycle + 4])) for cycle in range(10)}) > 2


def test_blocks_are_of_all_groups_together() -> None:
    """Of 10 and 54 numbers 16 blocks are of 4 each, though the first group, added first, has too few; of 80, of 5."""
    bias, weights, more = (nn.Parameter(torch.ones(count, dtype=torch.float64)) for count in (10, 54, 16))
    optimizer = ZOSGD([{"params": [bias]}, {"params": [weights]}], lr=1e-3, blocks=16)
    moved = moved_blocks(optimizer, [bias, weights], 16)
    assert sorted(moved) == [list(range(first, first + 4)) for first in range(0, 64, 4)]
    optimizer.add_param_group({"params": [more]})
    moved = moved_blocks(optimizer, [bias, weights, more], 16)
    assert sorted(moved) == [list(range(first, first + 5)) for first in range(0, 80, 5)]
    with pytest.raises(ValueError, match="the number of trainable parameters, 64, not 65"):
        ZOSGD([{"params": [bias]}, {"params": [weights]}], lr=1e-3, blocks=65)


def test_a_frozen_group_is_in_no_block() -> None:
    frozen, free = nn.Parameter(torch.ones(9), requires_grad=False), ramp()
    optimizer = ZOSGD([{"params": [frozen]}, {"params": [free]}], lr=1e-3, blocks=2)
    assert sorted(moved_blocks(optimizer, [frozen, free], 2)) == [list(range(9, 34)), list(range(34, 59))]
    with pytest.raises(ValueError, match="the number of trainable parameters, 50, not 51"):
        ZOSGD([{"params": [frozen]}, {"params": [free]}], lr=1e-3, blocks=51)


def test_a_block_stays_for_the_steps_of_a_batch() -> None:
    parameters = [nn.Parameter(torch.ones(12))]
    moved = moved_blocks(ZOSGD(parameters, lr=1e-3, blocks=3, steps_per_batch=2), parameters, 12)
    assert moved[::2] == moved[1::2]
    assert sorted(moved[:6:2]) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_who_is_moving_is_told_while_the_closure_runs() -> None:
    first, second, frozen = ramp(), ramp(), nn.Parameter(torch.ones(9), requires_grad=False)
    optimizer = ZOSGD([first, frozen, second], lr=0.1, blocks=2)
    told: list[list[torch.Tensor]] = []

    def closure() -> torch.Tensor:
        assert optimizer.moving is not None
        told.append(list(optimizer.moving))
        return first.sum() + second.sum()

    before = first.detach().clone()
    optimizer.step(closure)
    assert optimizer.moving is None
    (moved,) = {id(parameter) for parameters in told for parameter in parameters}
    assert moved == id(second if torch.equal(first, before) else first)
    with pytest.raises(RuntimeError):
        optimizer.step(lambda: first.view(7))
    assert optimizer.moving is None


@pytest.mark.parametrize("blocks", [1, 2, 50])
def test_tied_parameters_are_in_one_block_each_number_once(blocks: int) -> None:
    """On L = c.theta a step moves a block by -lr k (c_b . z) z, in one cycle every number once; z is the noise's own.

    A block that had the memory twice would have two z on it.
    """
    theta = nn.Parameter(torch.linspace(-3, 3, 50, dtype=torch.float64))
    tied, c = nn.Parameter(theta.data), torch.arange(1.0, 51, dtype=torch.float64)
    optimizer, noise, visits = ZOSGD([theta, tied], lr=0.1, blocks=blocks), PooledNoise(0, 100), torch.zeros(50)
    for step in range(blocks):
        before = theta.detach().clone()
        optimizer.step(lambda: c @ theta)
        moved = theta.detach() - before
        place = moved.nonzero().view(-1)
        z = torch.zeros(len(place), dtype=torch.float64)
        noise.direction([z], step, 0, 0)(1.0)
        assert torch.allclose(moved[place], -0.1 * blocks * (c[place] @ z) * z, rtol=1e-6)
        visits[place] += 1
    assert torch.equal(visits, torch.ones(50))
    assert torch.equal(theta, tied)
    with pytest.raises(ValueError, match="trainable parameters, 50, not 51"):
        ZOSGD([theta, tied], lr=0.1, blocks=51)


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize("two_sided", [True, False])
def test_an_estimate_is_the_step_that_it_would_be(two_sided: bool, blocks: int) -> None:
    """For a linear loss: plain descent along `.grad` goes where `step` goes; in channels-last memory, too."""
    ends = []
    for estimating in (True, False):
        theta, other = (
            nn.Parameter(torch.zeros(30, dtype=torch.float64)),
            nn.Parameter(torch.zeros(2, 3, 2, 2, dtype=torch.float64).to(memory_format=torch.channels_last)),
        )
        groups = [{"params": [theta]}, {"params": [other], "eps": 1e-2}]
        optimizer = ZOSGD(groups, lr=0.1, queries=2, two_sided=two_sided, blocks=blocks, seed=3)
        weights = torch.arange(24, dtype=torch.float64).view(2, 3, 2, 2)

        def loss(theta=theta, other=other, weights=weights) -> torch.Tensor:  # type: ignore[no-untyped-def]
            return theta.sum() + (weights * other).sum()

        inner = torch.optim.SGD([theta, other], lr=0.1)
        for _ in range(3):
            if estimating:
                inner.zero_grad()
                optimizer.estimate(loss)
                inner.step()
            else:
                optimizer.step(loss)
        ends.append(torch.cat([theta.detach(), other.detach().reshape(-1)]))
    assert torch.allclose(*ends, rtol=1e-6, atol=1e-9)
    assert ends[0].abs().max() > 0.1


def test_an_estimate_adds_to_what_is_there_and_leaves_the_parameters() -> None:
    theta = ramp()
    theta.grad = torch.full_like(theta, 100.0)
    optimizer = ZOSGD([theta], lr=0.1)
    optimizer.estimate(lambda: theta.sum())
    assert torch.allclose(theta, ramp(), rtol=0, atol=1e-6)
    alone = ramp()
    ZOSGD([alone], lr=0.1).estimate(lambda: alone.sum())
    assert torch.allclose(theta.grad - 100, alone.grad, atol=1e-4)
    assert optimizer.steps_taken == 1


@pytest.mark.parametrize("blocks", [1, 3])
@pytest.mark.parametrize(
    "lay",
    [
        torch.Tensor.contiguous,
        lambda values: torch.stack([values, values], -1)[..., 0],  # with gaps
        lambda values: values[:1, :1, :1, :1].expand(2, 3, 2, 2),  # one number
    ],
)
def test_an_estimate_is_added_to_a_gradient_that_lies_otherwise_in_memory(
    lay: Callable[[torch.Tensor], torch.Tensor], blocks: int
) -> None:
    """Than its parameter, which is channels last. On a linear loss what is added is the step, up, at lr = 1."""
    weights = torch.arange(24, dtype=torch.float64).view(2, 3, 2, 2)
    theta, stepped = (
        nn.Parameter(torch.zeros(2, 3, 2, 2, dtype=torch.float64).to(memory_format=torch.channels_last))
        for _ in range(2)
    )
    theta.grad = lay(torch.arange(24, dtype=torch.float64).sin().view(2, 3, 2, 2))
    before = theta.grad.clone()
    estimator, optimizer = (ZOSGD([each], lr=1.0, blocks=blocks, seed=3) for each in (theta, stepped))
    for _ in range(3):
        estimator.estimate(lambda: (weights * theta).sum())
        optimizer.step(lambda: (weights * stepped).sum())
    assert torch.allclose(theta.grad - before, -stepped, rtol=1e-6, atol=1e-9)
    assert stepped.abs().min() > 0


def test_an_estimate_beyond_float32_is_told_and_leaves_everything() -> None:
    theta = ramp()
    optimizer = ZOSGD([theta], lr=0.1, queries=2)
    with pytest.raises(FloatingPointError, match="beyond what float32 can hold"):
        optimizer.estimate(lambda: 3e38 * theta.sum())
    assert theta.grad is None
    assert optimizer.steps_taken == 0
    assert torch.allclose(theta, ramp(), rtol=0, atol=2e-6)


def test_a_replay_is_the_run_to_the_bit_at_any_number_of_threads() -> None:
    """Twenty steps of recorded rises lead another process's copy of the start to the same end, and no loss is asked."""
    arguments = {"lr": 1e-3, "queries": 2, "blocks": 3, "normalize": True, "seed": 2**62 + 1}
    theta = nn.Parameter(torch.linspace(-1, 1, 300_000))
    start, optimizer, rises = theta.detach().clone(), ZOSGD([theta], **arguments), []
    for _ in range(20):
        optimizer.step(lambda: theta.square().mean())
        rises.append(optimizer.rises)
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            again = nn.Parameter(start.clone())
            twin = ZOSGD([again], **arguments)
            for rises_of_step in rises:
                twin.replay(rises_of_step)
            assert torch.equal(again, theta)
            assert twin.state_dict()["mean_square"] == optimizer.mean_square
    finally:
        torch.set_num_threads(before)
    with pytest.raises(ValueError, match="as many rises as queries, 2, not 1"):
        twin.replay([0.0])


def test_a_normalized_step_is_lr_long_whatever_the_loss() -> None:
    """First step on L = c theta: |g| over its own root mean square is 1, so theta moves by lr |z|, for any c."""
    moves = []
    for scale in (1e-3, 1.0, 1e3):
        theta = nn.Parameter(torch.zeros(4, dtype=torch.float64))
        ZOSGD([theta], lr=0.1, normalize=True, seed=2).step(lambda theta=theta, scale=scale: scale * theta.sum())
        moves.append(theta.detach())
    assert torch.allclose(moves[0], moves[1], rtol=1e-6)
    assert torch.allclose(moves[2], moves[1], rtol=1e-6)
    assert moves[0].abs().min() > 0


@pytest.mark.parametrize("seed", [0, 5])
def test_seeds_beyond_32_bits_are_seeds_of_their_own(seed: int) -> None:
    ends = []
    for high in (0, 2**32, 2**62):
        theta = ramp()
        ZOSGD([theta], lr=0.1, seed=seed + high).step(lambda theta=theta: theta.sum())
        ends.append(theta.detach())
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(ends, 2))


@pytest.mark.parametrize(("two_sided", "calls"), [(True, 6), (False, 4)])
def test_step_returns_the_mean_loss_it_saw(two_sided: bool, calls: int) -> None:
    theta = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    seen: list[float] = []

    def closure() -> torch.Tensor:
        seen.append(theta.square().sum().item())
        return theta.square().sum()

    mean = ZOSGD([theta], lr=0.1, queries=3, two_sided=two_sided).step(closure)
    assert mean == pytest.approx(sum(seen) / calls)
    assert len(seen) == calls


@pytest.mark.parametrize("two_sided", [True, False])
def test_maximize_mirrors_descent(two_sided: bool) -> None:
    theta, a, b = quadratic()
    start, moves = theta.detach().clone(), []
    for maximize in (False, True):
        theta.data.copy_(start)
        optimizer = ZOSGD([theta], lr=0.1, maximize=maximize, two_sided=two_sided, queries=2, seed=4)
        optimizer.step(lambda: theta @ a @ theta / 2 + b @ theta)
        moves.append(theta.detach() - start)
    assert torch.allclose(moves[0], -moves[1], rtol=1e-12, atol=0)
    assert moves[0].abs().min() > 0


def test_clip_bounds_the_projected_gradient() -> None:
    """On L = 3 theta the projected gradient is 3 z and the step lr * 3 z * z; clipped to c, it is lr * c * |z|."""
    theta = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def moved(clip: float | None) -> float:
        theta.data.zero_()
        ZOSGD([theta], lr=0.1, clip=clip, seed=2).step(lambda: 3 * theta.sum())
        return theta.item()

    z = (moved(None) / -0.3) ** 0.5
    assert 3 * z > 1e-3
    assert moved(1e-3) == pytest.approx(-0.1 * 1e-3 * z, rel=1e-9)
    assert moved(1e3) == pytest.approx(moved(None), rel=1e-12)


def test_groups_have_their_own_lr_and_eps() -> None:
    """On a linear loss the estimate does not depend on eps, so twice the lr moves twice as far along the same z."""
    first, second = nn.Parameter(torch.zeros(5, dtype=torch.float64)), nn.Parameter(torch.zeros(5, dtype=torch.float64))
    optimizer = ZOSGD([{"params": [first], "lr": 0.2, "eps": 1e-2}, {"params": [second], "lr": 0.0}], lr=0.1, seed=0)
    optimizer.step(lambda: first.sum())
    once = first.detach().clone()
    other = ZOSGD([{"params": [second], "lr": 0.1, "eps": 1e-3}], lr=9.0, seed=0)
    second.data.zero_()
    other.step(lambda: second.sum())
    assert torch.allclose(once, 2 * second, rtol=1e-9)


def test_seed_zero_is_a_seed() -> None:
    """It is replayed like any other, and it is neither the lack of noise nor another seed."""
    theta, moves = ramp(), []
    for seed in (0, 0, 1):
        theta.data.zero_()
        ZOSGD([theta], lr=0.1, seed=seed).step(lambda: theta.sum())
        moves.append(theta.detach().clone())
    assert torch.equal(moves[0], moves[1])
    assert moves[0].abs().min() > 0
    assert not torch.equal(moves[0], moves[2])


def test_threads_do_not_matter() -> None:
    def after(threads: int) -> torch.Tensor:
        torch.set_num_threads(threads)
        theta = nn.Parameter(torch.linspace(-1, 1, 300_000))
        optimizer = ZOSGD([theta], lr=1e-3, queries=2)
        for step in range(3):
            optimizer.step(lambda step=step: theta[step] * 3 - theta[-1])
        return theta.detach()

    before = torch.get_num_threads()
    try:
        assert torch.equal(after(1), after(2))
    finally:
        torch.set_num_threads(before)


def test_frozen_parameters_are_not_touched() -> None:
    frozen = nn.Parameter(torch.ones(3), requires_grad=False)
    free = nn.Parameter(torch.ones(3))
    seen: list[torch.Tensor] = []
    ZOSGD([frozen, free], lr=0.1).step(lambda: (seen.append(frozen.clone()), (free + frozen).square().sum())[1])
    assert all(torch.equal(value, torch.ones(3)) for value in [*seen, frozen])
    assert not torch.equal(free.detach(), torch.ones(3))


def test_a_parameter_frozen_or_freed_between_steps_is_noticed() -> None:
    first, second = ramp(), ramp()
    optimizer = ZOSGD([first, second], lr=0.1)
    second.requires_grad_(False)
    optimizer.step(lambda: first.sum() + second.sum())
    assert torch.equal(second, ramp())
    second.requires_grad_(True)
    optimizer.step(lambda: first.sum() + second.sum())
    assert not torch.equal(second, ramp())


def test_parameters_that_move_in_memory_are_followed() -> None:
    model = nn.Linear(3, 2)
    optimizer = ZOSGD(model.parameters(), lr=0.1)
    optimizer.step(lambda: model(torch.ones(1, 3)).sum())
    model.double()
    start = model.weight.detach().clone()
    optimizer.step(lambda: model(torch.ones(1, 3, dtype=torch.float64)).sum())
    assert (model.weight.detach() - start).abs().min() > 0


@pytest.mark.parametrize("same_group", [True, False])
def test_tied_parameters_are_perturbed_once(same_group: bool) -> None:
    """Two Parameter objects over one memory move as the one does alone; so does what follows them."""

    def after(make: Callable[[nn.Parameter], list[nn.Parameter]]) -> torch.Tensor:
        theta = ramp()
        both = make(theta)
        groups = [{"params": both}] if same_group else [{"params": [each]} for each in both]
        ZOSGD(groups, lr=0.1).step(lambda: theta.square().sum())
        return theta.detach()

    alone = after(lambda theta: [theta])
    assert torch.equal(after(lambda theta: [theta, nn.Parameter(theta.data)]), alone)
    assert not torch.equal(alone, ramp())


def test_any_order_in_memory_without_gaps_will_do() -> None:
    """A transposed and a channels-last parameter move as a contiguous one over the same memory does."""
    plain = nn.Parameter(torch.zeros(24))
    ZOSGD([plain], lr=0.1).step(lambda: plain.sum())
    for parameter in (
        nn.Parameter(torch.zeros(4, 6).t()),
        nn.Parameter(torch.zeros(2, 3, 2, 2).to(memory_format=torch.channels_last)),
    ):
        assert not parameter.is_contiguous()
        ZOSGD([parameter], lr=0.1).step(lambda parameter=parameter: parameter.sum())
        in_memory = torch.empty(0).set_(parameter.detach().untyped_storage())
        assert torch.allclose(in_memory, plain, rtol=1e-5)


def test_scalar_and_empty_parameters_are_fine() -> None:
    scalar, empty = nn.Parameter(torch.tensor(1.0)), nn.Parameter(torch.zeros(0, 3))
    ZOSGD([empty, scalar], lr=0.1).step(lambda: scalar + empty.sum())
    assert scalar.item() != 1


def test_buffers_and_gradients_are_left_alone() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)).eval()
    buffers = [buffer.clone() for buffer in model.buffers()]
    ZOSGD(model.parameters(), lr=0.1).step(lambda: F.cross_entropy(model(torch.randn(6, 4)), torch.zeros(6).long()))
    assert all(torch.equal(now, then) for now, then in zip(model.buffers(), buffers, strict=True))
    assert all(parameter.grad is None for parameter in model.parameters())


# Every call that the closure gets in a step of three queries: 2q of them, or q + 1.
CALLS = [*((True, call) for call in range(6)), *((False, call) for call in range(4))]


@pytest.mark.parametrize("take", [ZOSGD.step, ZOSGD.estimate])
@pytest.mark.parametrize(
    "arguments", [{}, {"blocks": 7}, {"normalize": True}, {"blocks": 7, "normalize": True, "steps_per_batch": 2}]
)
@pytest.mark.parametrize(("two_sided", "failing_call"), CALLS)
@pytest.mark.parametrize(
    ("outcome", "error", "words"),
    [
        (RuntimeError("boom"), RuntimeError, "boom"),
        (KeyboardInterrupt("Ctrl-C"), KeyboardInterrupt, "Ctrl-C"),
        (torch.tensor(float("nan")), FloatingPointError, "nan"),
        (torch.tensor(float("inf")), FloatingPointError, "inf"),
        (torch.ones(3), ValueError, r"scalar loss, not a tensor of shape \(3,\)"),
        (torch.ones((), requires_grad=True), ValueError, "requires grad.*enable_grad"),
        ("high", ValueError, "scalar loss, not str"),
        (None, ValueError, "scalar loss, not NoneType"),
        ((1.0, 2.0), ValueError, "scalar loss, not tuple"),
        (torch.tensor(1j), ValueError, "scalar loss, not a tensor"),
    ],
)
def test_whatever_goes_wrong_in_the_closure_the_parameters_come_back(
    take: Callable[..., float],
    arguments: dict[str, Any],
    two_sided: bool,
    failing_call: int,
    outcome: object,
    error: type[BaseException],
    words: str,
) -> None:
    """To the rounding of nine passes, 2^-23 each below 4; and the optimizer is as it was, after a step that it took."""
    theta, other = ramp(), ramp()
    groups = [{"params": [theta]}, {"params": [other], "eps": 1e-2}]
    optimizer = ZOSGD(groups, lr=1e-6, queries=3, two_sided=two_sided, **arguments)
    optimizer.step(lambda: theta.square().sum())
    state, start, calls = copy.deepcopy(optimizer.state_dict()), [value.detach().clone() for value in (theta, other)], 0

    def closure() -> object:
        nonlocal calls
        calls += 1
        if calls <= failing_call:
            return theta.square().sum()
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    with pytest.raises(error, match=words):
        take(optimizer, closure)
    assert calls == failing_call + 1
    for now, then in zip((theta, other), start, strict=True):
        assert torch.allclose(now, then, rtol=0, atol=9 * 2**-23)
        assert now.grad is None
    assert optimizer.state_dict() == state
    assert optimizer.moving is None


def test_after_a_failed_step_the_next_one_is_as_if_it_had_not_been() -> None:
    def after(failures: int) -> torch.Tensor:
        theta = ramp()
        optimizer = ZOSGD([theta], lr=0.1)
        for _ in range(failures):
            with pytest.raises(FloatingPointError):
                optimizer.step(lambda: float("nan"))
        optimizer.step(lambda: theta.square().sum())
        return theta.detach()

    assert torch.allclose(after(2), after(0), rtol=0, atol=1e-5)


def test_a_step_beyond_float32_is_told_and_leaves_the_parameters() -> None:
    theta = ramp()
    with pytest.raises(FloatingPointError, match="beyond what float32 can hold"):
        ZOSGD([theta], lr=1e38, queries=2).step(lambda: 1e4 * theta.square().sum())
    with pytest.raises(FloatingPointError, match="beyond what float32 can hold"):
        ZOSGD([theta], lr=2e38, clip=1.0).step(lambda: 1e4 * theta.square().sum())
    assert torch.allclose(theta, ramp(), rtol=0, atol=2e-6)


@pytest.mark.parametrize("queries", [1, 2])
def test_rises_that_no_float_can_square_are_told_and_leave_the_parameters(queries: int) -> None:
    """Rises of about 1e197, whose squares would be beyond 1e308; 9 passes of rounding at 2^-53 of 4."""
    theta = nn.Parameter(torch.linspace(-3, 3, 50, dtype=torch.float64))
    start = theta.detach().clone()
    optimizer = ZOSGD([theta], lr=0.1, queries=queries, normalize=True)
    with pytest.raises(FloatingPointError, match="too far to be squared"):
        optimizer.step(lambda: 1e200 * theta.square().sum())
    assert torch.allclose(theta, start, rtol=0, atol=9 * 4 * 2**-53)
    assert (optimizer.steps_taken, optimizer.mean_square) == (0, 0.0)


def test_a_copy_goes_on_alike() -> None:
    theta = nn.Parameter(torch.zeros(5))
    optimizer = ZOSGD([theta], lr=0.1, queries=2, two_sided=False, noise="gaussian", clip=1.0, seed=3)
    optimizer.step(lambda: (theta - 1).square().sum())
    twin = copy.deepcopy(optimizer)
    for each in (optimizer, twin):
        parameter = each.param_groups[0]["params"][0]
        each.step(lambda parameter=parameter: (parameter - 1).square().sum())
    assert twin.param_groups[0]["params"][0] is not theta
    assert torch.equal(theta, twin.param_groups[0]["params"][0])


def test_a_refused_group_is_not_added() -> None:
    optimizer = ZOSGD([nn.Parameter(torch.zeros(2))], lr=0.1)
    with pytest.raises(ValueError, match="eps"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))], "eps": -1.0})
    with pytest.raises(TypeError):
        optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))], "lr": "high"})
    assert len(optimizer.param_groups) == 1


def test_a_refused_group_leaves_the_noise_as_it_was() -> None:
    """It would have made the model large enough for a larger pool."""

    def after(refused: int) -> torch.Tensor:
        theta = nn.Parameter(torch.zeros(60_000))
        optimizer = ZOSGD([theta], lr=0.1)
        for _ in range(refused):
            with pytest.raises(ValueError, match="bfloat16"):
                optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(60_000, dtype=torch.bfloat16))]})
        optimizer.step(lambda: theta[:100].sum())
        return theta.detach()

    assert torch.equal(after(0), after(1))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("two_sided", [True, False])
def test_resuming_equals_going_straight_through(noise: str, two_sided: bool) -> None:
    def run(theta: nn.Parameter, optimizer: ZOSGD, steps: int) -> None:
        for _ in range(steps):
            optimizer.step(lambda: (theta - 1).square().sum())

    straight = nn.Parameter(torch.zeros(40))
    arguments = {"lr": 1e-2, "seed": 9, "queries": 2, "two_sided": two_sided, "noise": noise, "clip": 5.0}
    arguments |= {"blocks": 4, "steps_per_batch": 2, "normalize": True}
    run(straight, ZOSGD([straight], **arguments), 20)
    halfway = nn.Parameter(torch.zeros(40))
    first = ZOSGD([halfway], **arguments)
    run(halfway, first, 10)
    resumed = ZOSGD([halfway], lr=5.0, seed=1, noise=noise)
    resumed.load_state_dict(first.state_dict())
    run(halfway, resumed, 10)
    assert torch.equal(straight, halfway)


def test_a_state_of_another_noise_is_refused() -> None:
    state = ZOSGD([ramp()], lr=0.1, noise="gaussian").state_dict()
    with pytest.raises(ValueError, match="of GaussianNoise, this optimizer has PooledNoise"):
        ZOSGD([ramp()], lr=0.1).load_state_dict(state)
    with pytest.raises(ValueError, match="of another optimizer"):
        ZOSGD([ramp()], lr=0.1).load_state_dict(torch.optim.SGD([ramp()], lr=0.1).state_dict())


def refuses(optimizer: ZOSGD, state: dict[str, Any], words: str) -> None:
    """And nothing has changed: neither its own state nor the step that it takes next."""
    twin, before = copy.deepcopy(optimizer), copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=words):
        optimizer.load_state_dict(state)
    assert optimizer.state_dict() == before
    for each in (optimizer, twin):
        each.step(lambda each=each: each.param_groups[0]["params"][0].square().sum())
    assert torch.equal(*(each.param_groups[0]["params"][0] for each in (optimizer, twin)))


def another_state(groups: int = 1) -> dict[str, Any]:
    """One that differs in everything from that of an optimizer with the default arguments, but for the noise."""
    parameters = [{"params": [nn.Parameter(torch.ones(50))]} for _ in range(groups)]
    arguments = {"eps": 0.1, "clip": 1.0, "maximize": True, "queries": 2, "two_sided": False, "normalize": True}
    optimizer = ZOSGD(parameters, lr=5.0, blocks=40, steps_per_batch=3, seed=9, **arguments)
    optimizer.step(lambda: parameters[0]["params"][0].sum())
    return optimizer.state_dict()


@pytest.mark.parametrize("name", sorted(ZOSGD([ramp()], lr=0.1).state_dict().keys() - {"noise"}))
def test_a_state_that_lacks_something_is_refused_before_anything_is_changed(name: str) -> None:
    state = another_state()
    del state[name]
    refuses(ZOSGD([ramp()], lr=0.1), state, f"^the state lacks {name}: it is of another version$")


@pytest.mark.parametrize("name", ["lr", "eps", "clip", "maximize"])
def test_a_state_whose_group_lacks_something_is_refused_before_anything_is_changed(name: str) -> None:
    state = another_state()
    del state["param_groups"][0][name]
    refuses(ZOSGD([ramp()], lr=0.1), state, f"^the state lacks {name}: it is of another version$")


def test_a_state_of_other_parameters_is_refused_before_anything_is_changed() -> None:
    few = nn.Parameter(torch.ones(39))
    refuses(ZOSGD([few], lr=0.1), another_state(), "^blocks must be at most .* parameters, 39, not 40$")
    refuses(ZOSGD([ramp()], lr=0.1), another_state(groups=2), "different number of parameter groups")


def test_a_noise_of_ones_own() -> None:
    """Coordinate noise: z has one element, sqrt(n) at a random place, so the estimate is one partial derivative."""

    class Coordinate:
        chunk_numbers = 100

        def __init__(self, seed: int, parameters: int) -> None:
            assert parameters == 6

        def direction(self, chunks: list[torch.Tensor], step: int, query: int, group: int) -> Callable[[float], None]:
            (chunk,) = chunks
            return lambda scale: chunk[step % len(chunk)].add_(scale * len(chunk) ** 0.5)

        def tensors(self) -> list[torch.Tensor]:
            return []

    theta, a, b = quadratic()
    gradient = (a @ theta + b).detach()
    start = theta.detach().clone()
    ZOSGD([theta], lr=0.5, noise=Coordinate).step(lambda: theta @ a @ theta / 2 + b @ theta)
    expected = torch.zeros_like(start)
    expected[0] = -0.5 * len(start) * gradient[0]
    assert torch.allclose(theta - start, expected, atol=1e-9)


@pytest.mark.parametrize("size", [1.0, 0.05])
def test_ten_thousand_steps_at_rest_do_not_drift(size: float) -> None:
    """Parameters as large as those of normalization layers, and as those of convolutions."""
    theta = nn.Parameter(size * torch.randn(1000, generator=torch.Generator().manual_seed(0)))
    start = theta.detach().clone()
    optimizer = ZOSGD([theta], lr=0.0)
    for _ in range(10_000):
        optimizer.step(lambda: 0.5)
    assert 0 < ((theta - start).norm() / start.norm()).item() < 1e-5


def test_it_descends_to_the_minimum_of_a_quadratic() -> None:
    theta, a, b = quadratic()
    a += torch.eye(len(b), dtype=torch.float64)  # well conditioned
    best = -b @ torch.linalg.solve(a, b) / 2
    optimizer = ZOSGD([theta], lr=0.02, seed=0)
    for _ in range(2000):
        optimizer.step(lambda: theta @ a @ theta / 2 + b @ theta)
    value = (theta @ a @ theta / 2 + b @ theta).item()
    assert value == pytest.approx(best.item(), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lr": -1.0}, "lr must be at least 0"),
        ({"lr": float("inf")}, "lr must be at least 0 and finite"),
        ({"lr": 0.1, "eps": 0.0}, "eps must be above 0"),
        ({"lr": 0.1, "eps": float("inf")}, "eps must be above 0 and finite"),
        ({"lr": 0.1, "eps": 1e39}, "eps must be above 0 and finite"),
        ({"lr": 0.1, "seed": 2**63}, "seed must be an integer in"),
        ({"lr": 0.1, "noise": None}, "unknown noise None"),
        ({"lr": 0.1, "queries": 0}, "queries must be an integer, at least 1"),
        ({"lr": 0.1, "queries": 1.5}, "queries must be an integer, at least 1, not 1.5"),
        ({"lr": 0.1, "blocks": 0}, "blocks must be an integer, at least 1"),
        ({"lr": 0.1, "blocks": "2"}, "blocks must be an integer, at least 1, not 2"),
        ({"lr": 0.1, "blocks": 3}, "blocks must be at most the number of trainable parameters, 2, not 3"),
        ({"lr": 0.1, "steps_per_batch": 0}, "steps_per_batch must be an integer, at least 1"),
        ({"lr": 0.1, "clip": 0.0}, "clip must be above 0, or None"),
        ({"lr": 0.1, "clip": float("nan")}, "clip must be above 0, or None"),
        ({"lr": 0.1, "seed": -1}, "seed must be an integer in"),
        ({"lr": 0.1, "seed": 1.5}, "seed must be an integer in"),
        ({"lr": 0.1, "noise": "white"}, "unknown noise 'white'; choose from: pooled, portable, gaussian, rademacher"),
    ],
)
def test_bad_arguments_are_told(arguments: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ZOSGD([nn.Parameter(torch.ones(2))], **arguments)  # type: ignore[arg-type]


def test_two_views_of_one_memory_that_do_not_overlap_both_move() -> None:
    memory = torch.zeros(8)
    first, second = nn.Parameter(memory[:4]), nn.Parameter(memory[4:])
    ZOSGD([first, second], lr=0.1).step(lambda: memory.sum())
    assert memory.abs().min() > 0


def test_one_number_has_no_gaps() -> None:
    parameter = nn.Parameter(torch.ones(8)[::8])
    ZOSGD([parameter], lr=0.1).step(lambda: parameter.sum())
    assert parameter.item() != 1


def test_a_parameter_that_becomes_another_view_of_its_memory_is_noticed() -> None:
    memory = torch.zeros(16)
    parameter = nn.Parameter(memory[:8])
    optimizer = ZOSGD([parameter], lr=0.1)
    optimizer.step(lambda: 0.5)
    parameter.data = memory[::2]
    with pytest.raises(ValueError, match="without gaps"):
        optimizer.step(lambda: 0.5)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ([torch.ones(2, dtype=torch.bfloat16)], r"bfloat16 \(half precision would drift"),
        ([torch.ones(2, dtype=torch.complex64)], "float32 or float64 parameters, not torch.complex64"),
        ([(square := torch.ones(2, 2))[0], square[:, 0]], "without gaps"),
        ([(bytes_ := torch.ones(16))[8:], bytes_.view(torch.float64)[4:]], "overlap in memory"),
        ([torch.ones(2, dtype=torch.float16)], "call model.float"),
        ([torch.ones(4, 4)[:, :2]], "without gaps.*contiguous"),
        ([torch.ones(8)[::2]], "without gaps"),
        ([torch.ones(1).expand(8)], "without gaps"),
        ([(memory := torch.ones(8))[:6], memory[4:]], "overlap in memory"),
    ],
)
def test_parameters_it_cannot_update_exactly_are_refused(parameters: list[torch.Tensor], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ZOSGD([nn.Parameter(parameter) for parameter in parameters], lr=0.1)


def test_a_model_halved_later_is_refused_at_the_step() -> None:
    model = nn.Linear(3, 2)
    optimizer = ZOSGD(model.parameters(), lr=0.1)
    model.half()
    start = model.weight.detach().clone()
    with pytest.raises(ValueError, match="float16"):
        optimizer.step(lambda: 0.5)
    assert torch.equal(model.weight, start)


def test_the_noise_is_pooled_unless_asked_otherwise() -> None:
    assert isinstance(ZOSGD([ramp()], lr=0.1).noise, PooledNoise)
