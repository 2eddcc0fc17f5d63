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
    digest = hashlib.blake2b(f"{purpose}:{seed}".encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, "big") >> 1)


@contextmanager
def drawing_by(seed: int, device: torch.device) -> Iterator[None]:
    """Have torch's default generators, of the CPU and of `device`, begin at `seed`, and put them back afterwards."""
    forked = [device] if device.type in ("cuda", "xpu") else []  # torch cannot put MPS's back
    with torch.random.fork_rng(devices=forked, device_type=device.type if forked else "cuda"):
        torch.manual_seed(seed)
        yield
