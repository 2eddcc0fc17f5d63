"""Where the perturbation z comes from: four kinds of noise, and the protocol for one of your own.

Every kind is replayed, never stored: the same (seed, step, query, group) gives the same z again, for every device and
thread count, since all random numbers come from a hash in integer arithmetic (logarithms and cosines of them may differ
in their last bit from one processor architecture to another).

Drawing a fresh number for every parameter, several times a step, costs more than the forward passes at small batch.
So the default, `PooledNoise`, draws a few numbers once, and a perturbation is made of windows into that pool.
"""

import math
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from zo_core.engine.cuts import runs
from zo_core.engine.streams import integers

SMALLEST_POOL, LARGEST_POOL = 2**10, 2**18
PARAMETERS_A_POOL_NUMBER = 32
POOL_SEED = 0  # of the one portable pool
SLICE_NUMBERS = 2**16  # fresh noise is drawn in slices that fit a cache
STATE_BYTES = len(torch.default_generator.get_state())  # of a CPU generator

Direction = Callable[[float], None]


class Noise(Protocol):
    """What `ZOSGD` needs of a noise; it makes one by calling the class.

    Args:
        seed: what all its directions come from.
        parameters: how many numbers it will perturb, over all groups.

    Attributes:
        chunk_numbers: the longest chunk that `direction` accepts.
    """

    chunk_numbers: int

    def __init__(self, seed: int, parameters: int) -> None: ...

    def direction(self, chunks: Sequence[Tensor], step: int, query: int, group: int) -> Direction:
        """The perturbation of `chunks` for one (step, query, group), as a function that adds it in place.

        Its elements must have mean 0 and variance 1, uncorrelated; float32 noise will do for float64 parameters.

        Args:
            chunks: 1-D views of the parameters, each of at most `chunk_numbers` elements.
            step, query, group: what the direction belongs to, beside the seed; integers from 0.

        Returns:
            `add(scale)`, which does `chunk += scale * z` for every chunk, with the same z at every call. If it fails
            halfway, nobody can restore the parameters.
        """
        ...

    def tensors(self) -> Sequence[Tensor]:
        """Every tensor that it keeps alive, for whoever counts memory."""
        ...


class PooledNoise:
    """Windows, at random offsets, into a circular pool of standard normal numbers.

    Consecutive chunks share a window for as long as it lasts: the many small parameters of a network cost as little as
    a large one.

    A pool of N numbers p is laid out as p, -p, p: a window of up to N numbers may begin anywhere in the first 2 N, and
    as far on as it has its negative, so that E[z] = 0. The Fourier transform of (p, -p) has one magnitude at all (odd)
    frequencies. Its autocorrelation is then 1 at lag 0, -1 at lag N and 0 elsewhere (Wiener-Khinchin), so that over the
    offsets E[z z^T] = I, for every seed and every N, to float32's rounding. The phases are random and independent, as
    those of normal numbers are, so the numbers are normal (they are sums of N/2 such terms).

    N is a power of two from 2^10 to 2^18, at most a 32nd of the parameters where that leaves a choice: the pool takes
    less than a tenth of their memory, or 12 KiB, and 3 MiB at most (in float32), and less than twice that while it is
    made.

    Args:
        seed: integer in [0, 2**63).
        parameters: how many numbers are to be perturbed; the largest pool if not given.
    """

    def __init__(self, seed: int, parameters: int = LARGEST_POOL * PARAMETERS_A_POOL_NUMBER) -> None:
        wanted = 2 ** (max(1, parameters // PARAMETERS_A_POOL_NUMBER).bit_length() - 1)
        self.chunk_numbers = min(max(wanted, SMALLEST_POOL), LARGEST_POOL)
        self._seed = seed
        self._pools: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def direction(self, chunks: Sequence[Tensor], step: int, query: int, group: int) -> Direction:
        """See `Noise.direction`."""
        targets, windows = list(chunks), self._windows(chunks, step, query, group)

        def add(scale: float) -> None:
            torch._foreach_add_(targets, windows, alpha=scale)

        return add

    def tensors(self) -> Sequence[Tensor]:
        """The pools in use, one a device and dtype."""
        return list(self._pools.values())

    def pool(self) -> Tensor:
        """(3 * chunk_numbers,) float32: the numbers themselves, made anew."""
        return _white_pool(self._seed, self.chunk_numbers)

    def _windows(self, chunks: Sequence[Tensor], step: int, query: int, group: int) -> list[Tensor]:
        """For each chunk the part of a pool that is its z."""
        together = list(runs(((chunk.numel(), (chunk.device, chunk.dtype)) for chunk in chunks), self.chunk_numbers))
        windows: list[Tensor] = []
        for run, offset in zip(together, integers(len(together), self._seed, step, query, group), strict=True):
            sizes = [chunks[place].numel() for place in run]
            pool = self._pool(chunks[run[0]].device, chunks[run[0]].dtype)
            window = pool.narrow(0, offset % (2 * self.chunk_numbers), sum(sizes))
            windows += [window] if len(sizes) == 1 else window.split_with_sizes(sizes)
        return windows

    def _pool(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        key = (device, dtype)
        if key not in self._pools:
            self._pools[key] = self.pool().to(device=device, dtype=dtype)
        return self._pools[key]


class PortableNoise(PooledNoise):
    """Pooled noise whose steps are the same to the bit in torch and in numpy, as `zo_core.engine.flat` takes them.

    The product with a window is rounded before it is added, and the sum again, where `add_(alpha=)` may round once. All
    seeds share one pool, which a package for a device carries; offsets are drawn by the seed. A pass is slower for it:
    it goes chunk by chunk, with one chunk's numbers beside.
    """

    def direction(self, chunks: Sequence[Tensor], step: int, query: int, group: int) -> Direction:
        """See `Noise.direction`."""
        targets, windows = list(chunks), self._windows(chunks, step, query, group)

        def add(scale: float) -> None:
            for target, window in zip(targets, windows, strict=True):
                target.add_(window * scale)

        return add

    def pool(self) -> Tensor:
        """See `PooledNoise.pool`."""
        return _white_pool(POOL_SEED, self.chunk_numbers)


class FreshNoise(ABC):
    """Numbers drawn anew at every pass: nothing is kept, and every pass pays for them."""

    chunk_numbers = SLICE_NUMBERS

    def __init__(self, seed: int, parameters: int = 0) -> None:
        self._seed = seed

    def direction(self, chunks: Sequence[Tensor], step: int, query: int, group: int) -> Direction:
        """See `Noise.direction`."""

        def add(scale: float) -> None:
            generator = _generator(self._seed, step, query, group)
            for chunk in chunks:
                chunk.add_(self.draw(chunk.numel(), generator).to(chunk.device, chunk.dtype), alpha=scale)

        return add

    def tensors(self) -> Sequence[Tensor]:
        """Nothing, unless a subclass keeps a table."""
        return []

    @abstractmethod
    def draw(self, numbers: int, generator: torch.Generator) -> Tensor:
        """(numbers,) float32 on the CPU, independent, of mean 0 and variance 1."""


class GaussianNoise(FreshNoise):
    """Standard normal numbers, as in MeZO (Malladi et al. 2023, algorithm 1)."""

    def draw(self, numbers: int, generator: torch.Generator) -> Tensor:
        """See `FreshNoise.draw`."""
        return torch.randn(numbers, generator=generator, dtype=torch.float32, device="cpu")


class RademacherNoise(FreshNoise):
    """Signs, +1 or -1, as Spall (1992) recommends: the least variance of the three.

    A random byte picks eight signs from a table of 8 KiB.
    """

    def __init__(self, seed: int, parameters: int = 0) -> None:
        super().__init__(seed, parameters)
        bits = torch.arange(256, device="cpu").unsqueeze(1) >> torch.arange(8, device="cpu") & 1  # (256, 8)
        self._signs = (2 * bits - 1).to(torch.float32)

    def draw(self, numbers: int, generator: torch.Generator) -> Tensor:
        """See `FreshNoise.draw`."""
        rows = torch.randint(256, (-(-numbers // 8),), generator=generator, device="cpu")
        return self._signs.index_select(0, rows).view(-1)[:numbers]

    def tensors(self) -> Sequence[Tensor]:
        """The table."""
        return [self._signs]


NOISES: dict[str, type[Noise]] = {
    "pooled": PooledNoise,
    "portable": PortableNoise,
    "gaussian": GaussianNoise,
    "rademacher": RademacherNoise,
}


def _white_pool(seed: int, numbers: int) -> Tensor:
    """(3 * numbers,) float32: p, -p, p; in float64 until the end, lest rounding differ between machines.

    Of an antiperiodic sequence with period 2 N, N/2 odd frequencies say all: with y[m] = (p[m] - i p[m + N/2]) w[m] and
    w[m] = exp(-i pi m / N) for m < N/2, the transform of y is that of (p, -p) at the frequencies 1, 5, 9, ..., halved;
    the others are their conjugates. So p is read off an inverse transform of N/2 numbers of random phase.
    """
    half = numbers // 2
    turns = torch.rand(half, generator=_generator(seed), dtype=torch.float64, device="cpu")
    y = torch.fft.ifft(_polar(1.0, turns.mul_(2 * math.pi)), norm="ortho")
    torch.arange(half, out=turns, device="cpu")
    y.mul_(_polar(2**0.5, turns.mul_(math.pi / numbers)))  # w[m]'s conjugate, and mean square 1, by Parseval
    del turns  # what is alive at once stays within twice the pool
    pool = torch.empty(3 * numbers, dtype=torch.float32, device="cpu")
    pool[:half] = y.real
    pool[half:numbers].copy_(y.imag).neg_()
    torch.neg(pool[:numbers], out=pool[numbers : 2 * numbers])
    pool[2 * numbers :] = pool[:numbers]
    return pool


def _polar(radius: float, angles: Tensor) -> Tensor:
    return torch.polar(torch.full((1,), radius, dtype=torch.float64, device="cpu"), angles)


def _generator(*key: int) -> torch.Generator:
    """A CPU generator, a Mersenne Twister, for a key of integers; `manual_seed` would keep 32 bits of it.

    All 624 words of its state are hashed from the key. Torch has them, each in 64 bits, behind the seed, how many are
    left, whether there was a seed, and which is next; what comes after them, normal numbers in stock, is nothing.
    """
    generator = torch.Generator(device="cpu")
    state = struct.pack("<QiiQ624Q", 0, 1, 1, 0, *integers(624, *key))
    return generator.set_state(torch.frombuffer(bytearray(state.ljust(STATE_BYTES, b"\0")), dtype=torch.uint8))
