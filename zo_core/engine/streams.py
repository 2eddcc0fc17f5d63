"""Random numbers straight from a hash: the same in every Python, on every machine, and every bit of a key counts.

torch's CPU generator keeps 32 bits of its seed, and other libraries' generators are others. BLAKE2b (RFC 7693) over a
key and a counter needs nothing but integers.
"""

import struct
from hashlib import blake2b


def random_bytes(count: int, *key: int) -> bytes:
    """`count` bytes.

    Args:
        key: integers in [-2**63, 2**63); another key, or one more of them, is another stream.
    """
    packed = struct.pack(f"<{len(key)}q", *key)
    digests = [blake2b(packed + counter.to_bytes(8, "little")).digest() for counter in range(-(-count // 64))]
    return b"".join(digests)[:count]


def integers(count: int, *key: int) -> tuple[int, ...]:
    """`count` integers, uniform in [0, 2**32); see `random_bytes` for `key`."""
    return struct.unpack(f"<{count}I", random_bytes(4 * count, *key))


def permutation(count: int, *key: int) -> list[int]:
    """The integers below `count` in random order, all orders alike; see `random_bytes` for `key`."""
    words = struct.unpack(f"<{count}Q", random_bytes(8 * count, *key))
    return sorted(range(count), key=words.__getitem__)
