"""Pooled noise: replayable, independent of threads, with the moments of a standard normal."""

import math

import pytest
import torch

from zo_core import PooledNoise


def draw(noise: PooledNoise, shapes: list[int], step: int = 0, query: int = 0, group: int = 0) -> torch.Tensor:
    chunks = [torch.zeros(n) for n in shapes]
    noise.direction(chunks, step, query, group)(1.0)
    return torch.cat(chunks)


def test_the_same_key_gives_the_same_direction_bit_for_bit() -> None:
    sizes = [3, 65536, 1000, 1]
    again = draw(PooledNoise(seed=7), sizes, step=5, query=2, group=1)
    assert torch.equal(draw(PooledNoise(seed=7), sizes, step=5, query=2, group=1), again)


@pytest.mark.parametrize(("step", "query", "group"), [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_every_part_of_the_key_matters(step: int, query: int, group: int) -> None:
    noise = PooledNoise(seed=0)
    assert not torch.equal(draw(noise, [100]), draw(noise, [100], step, query, group))


def test_seeds_give_different_pools() -> None:
    assert not torch.equal(PooledNoise(0).tensors()[0], PooledNoise(1).tensors()[0])


def test_threads_do_not_matter() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = draw(PooledNoise(seed=3), [65536] * 4)
        torch.set_num_threads(2)
        assert torch.equal(draw(PooledNoise(seed=3), [65536] * 4), alone)
    finally:
        torch.set_num_threads(before)


def test_moments_over_keys() -> None:
    """Mean 0, variance 1, no correlation between coordinates of one chunk or of two.

    Bounds are 5 standard errors of independent normal draws: 1/sqrt(n) for a mean or a product, sqrt(2/n) for a
    square.
    """
    n, noise = 4000, PooledNoise(seed=0)
    z = torch.stack([draw(noise, [2, 2], step=step) for step in range(n)]).double()
    assert z.mean(0).abs().max() < 5 / math.sqrt(n)
    assert (z.square().mean(0) - 1).abs().max() < 5 * math.sqrt(2 / n)
    covariance = z.T @ z / n - torch.eye(4)
    covariance.fill_diagonal_(0)
    assert covariance.abs().max() < 5 / math.sqrt(n)


def test_the_pool_has_mean_square_one() -> None:
    period = PooledNoise(seed=0).tensors()[0][: 2**18].double()
    assert period.square().mean().item() == pytest.approx(1, abs=1e-6)


def test_the_pool_stays_under_four_mebibytes() -> None:
    noise = PooledNoise(seed=0)
    draw(noise, [100])
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in noise.tensors()}
    assert sum(storages.values()) <= 4 * 2**20


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_seed_means_the_same_direction_on_cuda() -> None:
    sizes = [3, 65536, 1000]
    chunks = [torch.zeros(n, device="cuda") for n in sizes]
    PooledNoise(seed=7).direction(chunks, 5, 2, 1)(1.0)
    assert torch.equal(torch.cat(chunks).cpu(), draw(PooledNoise(seed=7), sizes, step=5, query=2, group=1))
