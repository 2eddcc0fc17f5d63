"""Noise: replayable, independent of threads, with the moments of independent numbers of mean 0 and variance 1."""

import itertools
import math
import weakref
from statistics import fmean, stdev

import numpy
import pytest
import torch
from scipy.stats import kstest
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from zo_core import ZOSGD, GaussianNoise, Noise, PooledNoise, RademacherNoise
from zo_core.engine.streams import integers
from zo_core.noise import LARGEST_POOL, NOISES, PortableNoise, _generator

every_noise = pytest.mark.parametrize("kind", [PooledNoise, PortableNoise, GaussianNoise, RademacherNoise])


def draw(noise: Noise, sizes: list[int], step: int = 0, query: int = 0, group: int = 0) -> torch.Tensor:
    chunks = [torch.zeros(n) for n in sizes]
    noise.direction(chunks, step, query, group)(1.0)
    return torch.cat(chunks)


def pool(seed: int, parameters: int = 2**23) -> torch.Tensor:
    """(3 N,) float64: p, -p, p."""
    noise = PooledNoise(seed, parameters)
    draw(noise, [1])
    (numbers,) = noise.tensors()
    assert len(numbers) == 3 * noise.chunk_numbers
    return numbers.double()


def test_every_noise_is_tested_here() -> None:
    assert set(NOISES.values()) == {PooledNoise, PortableNoise, GaussianNoise, RademacherNoise}


@every_noise
def test_the_same_key_gives_the_same_direction_bit_for_bit(kind: type[Noise]) -> None:
    sizes = [3, 65536, 1000, 1]
    again = draw(kind(seed=7), sizes, step=5, query=2, group=1)
    assert torch.equal(draw(kind(seed=7), sizes, step=5, query=2, group=1), again)


@every_noise
def test_a_direction_added_twice_is_twice_the_direction(kind: type[Noise]) -> None:
    chunks = [torch.zeros(3), torch.zeros(20)]
    add = kind(seed=7).direction(chunks, 0, 0, 0)
    add(1.0)
    once = [chunk.clone() for chunk in chunks]
    add(1.0)
    assert all(torch.equal(chunk, 2 * single) for chunk, single in zip(chunks, once, strict=True))


@every_noise
def test_every_part_of_the_key_matters(kind: type[Noise]) -> None:
    """A hundred numbers of all keys of a small grid, seed included: no two alike."""
    grid = itertools.product(range(3), range(3), range(3), range(3))
    drawn = [draw(kind(seed), [100], step, query, group) for seed, step, query, group in grid]
    assert not any(torch.equal(one, other) for one, other in itertools.combinations(drawn, 2))


def test_seeds_give_different_pools() -> None:
    assert not torch.equal(pool(0), pool(1))


@every_noise
def test_torchs_global_defaults_do_not_matter(kind: type[Noise]) -> None:
    chunk = torch.zeros(100)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            kind(0).direction([chunk], 0, 0, 0)(1.0)
    finally:
        torch.set_default_dtype(torch.float32)
    assert torch.equal(chunk, draw(kind(0), [100]))


@every_noise
def test_threads_do_not_matter(kind: type[Noise]) -> None:
    before, sizes = torch.get_num_threads(), [65536] * 4
    try:
        torch.set_num_threads(1)
        alone = draw(kind(seed=3), sizes)
        torch.set_num_threads(2)
        assert torch.equal(draw(kind(seed=3), sizes), alone)
    finally:
        torch.set_num_threads(before)


@every_noise
def test_float64_parameters_get_the_direction_of_float32_ones(kind: type[Noise]) -> None:
    chunk = torch.zeros(100, dtype=torch.float64)
    kind(seed=3).direction([chunk], 0, 0, 0)(1.0)
    assert torch.equal(chunk.float(), draw(kind(seed=3), [100]))


@every_noise
def test_moments_over_keys(kind: type[Noise]) -> None:
    """Mean 0, variance 1, no correlation between coordinates of one chunk, of two, or of two windows.

    Bounds are 5 standard errors of independent normal draws: 1/sqrt(n) for a mean or a product, sqrt(2/n) for a
    square.
    """
    n, noise = 4000, kind(seed=0)
    far = noise.chunk_numbers - 2  # the third chunk does not fit into the window of the first two
    observed = torch.tensor([0, 1, 2, 3, 4, 5, 3 + far])
    z = torch.empty(n, len(observed), dtype=torch.float64)  # at once: many small ones keep what lies between them
    for step in range(n):
        z[step] = draw(noise, [2, 2, far], step=step)[observed]
    assert z.mean(0).abs().max() < 5 / math.sqrt(n)
    assert (z.square().mean(0) - 1).abs().max() < 5 * math.sqrt(2 / n)
    covariance = z.T @ z / n
    covariance.fill_diagonal_(0)
    assert covariance.abs().max() < 5 / math.sqrt(n)


def test_over_all_its_offsets_a_window_has_mean_zero_and_covariance_one() -> None:
    """Not within an interval but as an identity: all 2 N windows of the greatest length, to float32's rounding."""
    numbers = pool(0, parameters=1)
    n = len(numbers) // 3
    windows = numbers.unfold(0, n, 1)[: 2 * n]  # (2 N, N)
    assert windows.mean(0).abs().max() < 1e-7
    assert (windows.T @ windows / (2 * n) - torch.eye(n, dtype=torch.float64)).abs().max() < 1e-6


@pytest.mark.parametrize("parameters", [1_500_000, 10_000_000])
def test_large_pools_are_white_too(parameters: int) -> None:
    """By their autocorrelation: 1 at lag 0, -1 at lag N, 0 elsewhere."""
    numbers = pool(0, parameters)
    n = len(numbers) // 3
    found = torch.fft.irfft(torch.fft.rfft(numbers[: 2 * n]).abs().square(), n=2 * n) / (2 * n)
    expected = torch.zeros(2 * n, dtype=torch.float64)
    expected[0], expected[n] = 1, -1
    assert (found - expected).abs().max() < 1e-6


def test_offsets_are_uniform_over_the_pool_and_its_negative() -> None:
    """Kolmogorov-Smirnov over the places where windows of 2,000 steps begin."""
    noise = PooledNoise(0, parameters=1)
    heads = pool(0, parameters=1).float().unfold(0, 8, 1)
    n = noise.chunk_numbers
    begun = [(heads[: 2 * n] == draw(noise, [n], step)[:8]).all(1).nonzero().item() for step in range(2000)]
    assert kstest([(place + 0.5) / (2 * n) for place in begun], "uniform").pvalue > 0.01


@pytest.mark.parametrize(("seed", "parameters"), [(0, 100), (1, 1_500_000), (2, 10_000_000)])
def test_the_pool_is_normal(seed: int, parameters: int) -> None:
    """Kolmogorov-Smirnov over its N numbers: at these seeds, which were not chosen, the level is 1 % each."""
    numbers = pool(seed, parameters)
    assert kstest(numbers[: len(numbers) // 3].numpy(), "norm").pvalue > 0.01


@pytest.mark.parametrize(
    ("parameters", "numbers"), [(1, 2**10), (2**16 - 1, 2**10), (2**16, 2**11), (2**23, 2**18), (2**30, 2**18)]
)
def test_the_pool_grows_with_the_model(parameters: int, numbers: int) -> None:
    """N is the largest power of two that is at most a 32nd of the parameters, from 2^10 to 2^18."""
    assert len(pool(0, parameters)) == 3 * numbers


@pytest.mark.parametrize("parameters", [1, 10_000_000])
def test_a_pool_takes_at_most_twice_its_memory_while_it_is_made(parameters: int) -> None:
    """By an independent count: the storages of everything that torch's operations return, while it is alive."""

    class Count(TorchDispatchMode):
        alive, peak = 0, 0

        def __init__(self) -> None:
            super().__init__()
            self.known: set[int] = set()

        def gone(self, key: int, size: int) -> None:
            self.known.discard(key)
            self.alive -= size

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = func(*args, **(kwargs or {}))
            for tensor in result if isinstance(result, tuple | list) else [result]:
                if isinstance(tensor, torch.Tensor) and (key := tensor.untyped_storage()._cdata) not in self.known:
                    size = tensor.untyped_storage().nbytes()
                    self.known.add(key)
                    weakref.finalize(tensor.untyped_storage(), self.gone, key, size)
                    self.alive += size
                    self.peak = max(self.peak, self.alive)
            return result

    noise = PooledNoise(0, parameters)
    with Count() as count:
        noise.direction([torch.zeros(1)], 0, 0, 0)
    kept = 3 * noise.chunk_numbers * 4
    assert kept < count.peak <= 2 * kept + 3 * 5056  # and the states of a generator


def test_a_generator_is_a_mersenne_twister_whose_whole_state_is_hashed() -> None:
    """numpy's, given the same 624 words, draws the same numbers, two of 32 bits for one of 64."""
    words = numpy.array(integers(624, 3, 2**40, 5), dtype=numpy.uint32)
    reference = numpy.random.MT19937()
    reference.state = reference.state | {"state": {"key": words, "pos": 624}}
    raw = reference.random_raw(2000).tolist()
    pairs = [(first << 32 | second) % 2**40 for first, second in zip(raw[::2], raw[1::2], strict=True)]
    assert torch.randint(2**40, (1000,), generator=_generator(3, 2**40, 5)).tolist() == pairs


def test_chunks_of_each_dtype_have_windows_of_their_own() -> None:
    noise = PooledNoise(seed=0)
    noise.direction([torch.zeros(3), torch.zeros(3, dtype=torch.float64)], 0, 0, 0)(1.0)
    assert [tensor.dtype for tensor in noise.tensors()] == [torch.float32, torch.float64]


@pytest.mark.parametrize("kind", [PooledNoise, GaussianNoise])
def test_a_coordinate_is_normal_over_steps(kind: type[Noise]) -> None:
    noise = kind(seed=0)
    seen = [draw(noise, [1], step=step).item() for step in range(4000)]
    assert kstest(seen, "norm").pvalue > 0.01


def test_windows_repeat_no_more_often_than_chance() -> None:
    """40 windows a step, 100 steps: 78,000 pairs at 2^18 offsets make 0.3 repetitions; 4 have a chance below 0.03 %."""
    noise, repeated = PooledNoise(seed=0), 0
    length = LARGEST_POOL // 2 + 1  # two do not share a window
    chunks = [torch.zeros(length) for _ in range(40)]
    for step in range(100):
        torch._foreach_zero_(chunks)
        noise.direction(chunks, step, 0, 0)(1.0)
        heads = [chunk[:8].abs() for chunk in chunks]
        repeated += sum(torch.equal(a, b) for a, b in itertools.combinations(heads, 2))
    assert repeated < 4


def test_small_parameters_share_a_window_and_large_ones_do_not() -> None:
    both = draw(PooledNoise(seed=0), [5, 7])
    assert torch.equal(both, draw(PooledNoise(seed=0), [12]))
    chunks = [torch.zeros(LARGEST_POOL), torch.zeros(LARGEST_POOL)]
    PooledNoise(seed=0).direction(chunks, 0, 0, 0)(1.0)
    assert not torch.equal(chunks[0].abs(), chunks[1].abs())


def test_rademacher_noise_is_plus_or_minus_one() -> None:
    assert set(draw(RademacherNoise(seed=0), [1001]).tolist()) == {-1.0, 1.0}


def test_rademacher_noise_draws_every_byte_equally_often() -> None:
    """Chi-squared over the 256 rows of 2^16 bytes: the mean is 255, the variance 510; 5 standard deviations."""
    signs = draw(RademacherNoise(seed=0), [2**19]).view(-1, 8) > 0
    counts = torch.bincount((signs * 2 ** torch.arange(8)).sum(1), minlength=256).double()
    expected = 2**16 / 256
    assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 5 * math.sqrt(510)


@pytest.mark.parametrize("kind", [PooledNoise, RademacherNoise])
@pytest.mark.parametrize("parameters", [1000, 26_000, 300_000, 1_500_000, 10**9])
def test_what_a_noise_keeps_is_little(kind: type[Noise], parameters: int) -> None:
    """12 KiB, or a tenth of the memory of float32 parameters, and 3 MiB at most."""
    noise = kind(0, parameters)
    draw(noise, [100])
    kept = sum(tensor.untyped_storage().nbytes() for tensor in noise.tensors())
    assert 0 < kept <= min(max(12 * 2**10, parameters * 4 / 10), 3 * 2**20)


def final_loss(noise: str, seed: int) -> float:
    """A network of 2,762 parameters after 400 ZO steps on points of ten classes."""
    generator = torch.Generator().manual_seed(0)
    centres = 2 * torch.randn(10, 32, generator=generator)
    y = torch.arange(10).repeat(20)
    x = centres[y] + torch.randn(200, 32, generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = ZOSGD(model.parameters(), lr=2e-3, noise=noise, seed=seed)
    for _ in range(400):
        loss = optimizer.step(lambda: F.cross_entropy(model(x), y))
    return loss


def test_pooled_noise_descends_as_gaussian_noise_does() -> None:
    """The means over 8 seeds differ by less than 4 standard errors of their difference; both halve the loss."""
    pooled, gaussian = ([final_loss(noise, seed) for seed in range(8)] for noise in ("pooled", "gaussian"))
    error = math.sqrt((stdev(pooled) ** 2 + stdev(gaussian) ** 2) / 8)
    assert abs(fmean(pooled) - fmean(gaussian)) < 4 * error
    assert max(fmean(pooled), fmean(gaussian)) < math.log(10) / 2


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@every_noise
def test_a_seed_means_the_same_direction_on_cuda(kind: type[Noise]) -> None:
    sizes = [3, 65536, 1000]
    chunks = [torch.zeros(n, device="cuda") for n in sizes]
    kind(seed=7).direction(chunks, 5, 2, 1)(1.0)
    assert torch.equal(torch.cat(chunks).cpu(), draw(kind(seed=7), sizes, step=5, query=2, group=1))
