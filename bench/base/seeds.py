"""Streams of random numbers: one seed gives each purpose a stream of its own, so that none repeats another's draws.

With one stream for all, the random forget set would be what training saw first, and a wrong label would follow from
the sample it is drawn for.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def generator(seed: int, purpose: str) -> torch.Generator:
    """A generator on the CPU; the same for the same seed and purpose, independent of any other."""
    return torch.Generator().manual_seed(_mixed(seed, purpose))


@contextmanager
def drawing_by(seed: int, device: torch.device, purpose: str | None = None) -> Iterator[None]:
    """Have torch's default generators, of the CPU and of `device`, begin at `seed`, and put these back afterwards.

    Args:
        purpose: gives the seed a stream of its own; without one it is taken as it is.
    """
    forked = [device] if device.type in ("cuda", "xpu") else []  # fork_rng knows no MPS
    with torch.random.fork_rng(devices=forked, device_type=device.type if forked else "cuda"):
        torch.manual_seed(seed if purpose is None else _mixed(seed, purpose))
        yield


def _mixed(seed: int, purpose: str) -> int:
    digest = hashlib.blake2b(f"{purpose}:{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
