"""Where the perturbation z comes from.

Drawing a fresh Gaussian for every parameter, several times a step, costs more than the forward passes at small batch.
So the numbers are drawn once, into a pool, and the perturbation of a chunk of parameters is a window into that pool
whose offset and sign belong to (seed, step, query, group, chunk). Nothing is stored between passes: the same key gives
the same windows again. Offsets and pool come from torch's CPU generator, whatever device the parameters live on, so a
seed means the same direction on a CPU and on any GPU.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

POOL_NUMBERS = 2**18  # 1 MiB in float32
CHUNK_NUMBERS = 2**16

Direction = Callable[[float], None]


class PooledNoise:
    """A pool of standard normal numbers, read through windows at random offsets and signs.

    The pool is circular (its head is repeated behind its tail), so that every number is equally likely at every
    coordinate; it is scaled to a mean square of one, so that E[z z^T] has exactly ones on its diagonal. The random
    sign makes E[z] exactly zero and decorrelates the chunks.

    Args:
        seed: integer in [0, 2**63); the same seed gives the same pool and windows on every device.

    Attributes:
        chunk_numbers: the longest chunk that `direction` accepts.
    """

    chunk_numbers = CHUNK_NUMBERS

    def __init__(self, seed: int) -> None:
        self.seed = seed
        generator = torch.Generator().manual_seed(_digest(seed))
        period = torch.randn(POOL_NUMBERS, generator=generator)
        period /= period.square().mean().sqrt()
        self._drawn = torch.cat([period, period[: self.chunk_numbers]])
        self._pools: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def direction(self, chunks: Sequence[Tensor], step: int, query: int, group: int) -> Direction:
        """The perturbation of `chunks` for one (step, query, group), as a function that adds it in place.

        Args:
            chunks: 1-D views of the parameters, each of at most `chunk_numbers` elements.
            step, query, group: what the direction belongs to, beside the seed; integers from 0.

        Returns:
            `add(scale)`, which does `chunk += scale * z` for every chunk, with the same z at every call.
        """
        generator = torch.Generator().manual_seed(_digest(self.seed, step, query, group))
        draws = torch.randint(2 * POOL_NUMBERS, (len(chunks),), generator=generator).tolist()
        sides: tuple[tuple[list[Tensor], list[Tensor]], ...] = (([], []), ([], []))
        for chunk, draw in zip(chunks, draws, strict=True):
            offset, negative = divmod(draw, 2)
            sides[negative][0].append(chunk)
            sides[negative][1].append(self.on(chunk.device, chunk.dtype).narrow(0, offset, chunk.numel()))

        def add(scale: float) -> None:
            for (targets, windows), sign in zip(sides, (1.0, -1.0), strict=True):
                if targets:
                    torch._foreach_add_(targets, windows, alpha=sign * scale)

        return add

    def on(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        """The pool as a 1-D tensor of `dtype` on `device`, made at the first call."""
        key = (device, dtype)
        if key not in self._pools:
            self._pools[key] = self._drawn.to(device=device, dtype=dtype)
        return self._pools[key]

    def tensors(self) -> list[Tensor]:
        """Every tensor this object keeps alive, for whoever counts memory."""
        return [self._drawn, *self._pools.values()]


def _digest(*words: int) -> int:
    """A 63-bit seed from integers; unlike `hash`, the same in every Python."""
    digest = hashlib.blake2b(struct.pack(f"<{len(words)}q", *words), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
