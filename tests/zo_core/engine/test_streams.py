"""Hashed streams against independent reckonings of the same hash, and for uniformity."""

import itertools
from collections import Counter
from hashlib import blake2b

import pytest
from scipy.stats import chisquare

from zo_core.engine.streams import integers, permutation, random_bytes


def test_a_stream_is_blake2b_over_key_and_counter() -> None:
    """As anybody can reckon it: 8 bytes a word of the key, then the counter, all little-endian."""
    key = (7).to_bytes(8, "little") + (2**64 - 1).to_bytes(8, "little")  # -1 in two's complement
    digests = [blake2b(key + place.to_bytes(8, "little")).digest() for place in range(3)]
    assert random_bytes(150, 7, -1) == b"".join(digests)[:150]
    words = integers(20, 7, -1)
    assert words[17] == int.from_bytes(digests[1][4:8], "little")


def test_the_longer_stream_begins_as_the_shorter() -> None:
    assert integers(40, 1, 2)[:7] == integers(7, 1, 2)
    assert integers(0, 1) == ()


@pytest.mark.parametrize("bit", [0, 31, 32, 33, 62])
def test_every_bit_of_a_seed_counts(bit: int) -> None:
    """Half of the bits change: 8,192 fair coins are 5 standard deviations (45 each) from it at most."""
    one, other = (int.from_bytes(random_bytes(1024, seed, 3), "little") for seed in (12345, 12345 ^ 1 << bit))
    assert abs((one ^ other).bit_count() - 4096) < 5 * 45.3


def test_keys_of_different_lengths_are_different_streams() -> None:
    streams = [integers(8, *key) for key in ((), (0,), (0, 0), (0, 0, 0), (1,), (0, 1), (1, 0))]
    assert not any(one == other for one, other in itertools.combinations(streams, 2))


def test_integers_are_uniform() -> None:
    """Chi-squared over 256 classes of 2^16 integers, by their highest and by their lowest byte, at 1 %."""
    found = integers(2**16, 0)
    for shift in (0, 24):
        counts = Counter(word >> shift & 255 for word in found)
        assert chisquare([counts[value] for value in range(256)]).pvalue > 0.01


def test_all_orders_are_alike() -> None:
    """Chi-squared over the 24 orders of four things in 24,000 permutations, at 1 %."""
    counts = Counter(tuple(permutation(4, seed, 1)) for seed in range(24_000))
    assert len(counts) == 24
    assert chisquare(list(counts.values())).pvalue > 0.01


def test_an_order_has_everything_once() -> None:
    assert sorted(permutation(1000, 5)) == list(range(1000))
    assert permutation(1, 5) == [0]
