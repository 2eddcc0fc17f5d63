"""Receipts: what is written comes back to the bit, what is changed is refused in a line, and replaying is doing."""

import json
import math
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zo_core.engine.flat import FlatZO, Numbers
from zo_core.receipt import (
    STEP_SETTINGS,
    Hashes,
    Receipt,
    ReceiptError,
    differences,
    layout_hash,
    numbers_hash,
    replay_on,
)

MOST_BYTES = 40_000  # of a receipt of a thousand steps
SHAPES = {"first": 700, "bias": 7, "last": 1500}
POOL = np.random.default_rng(1).standard_normal(3 * 1024).astype(np.float32)
WEIGHTS = np.random.default_rng(2).standard_normal(sum(SHAPES.values())).astype(np.float32)
WAYS: list[dict[str, Any]] = [
    {},
    {"queries": 3, "maximize": True},
    {"two_sided": False, "queries": 2, "eps": 0.1},
    {"clip": 0.01},
    {"normalize": True, "blocks": 16, "steps_per_batch": 4, "seed": 2**63 - 1},
]


def parts(weights: Numbers) -> dict[str, Numbers]:
    ends = np.cumsum(list(SHAPES.values())).tolist()
    return dict(zip(SHAPES, np.split(weights, ends[:-1]), strict=True))


def erased(steps: int = 5, moved: tuple[str, ...] = tuple(SHAPES), **way: Any) -> tuple[Numbers, Receipt]:
    """Weights that went down the sum of their fourth powers, and the receipt of it."""
    weights = WEIGHTS.copy()
    views = parts(weights)
    optimizer = FlatZO([views[name] for name in moved], POOL, 1e-4, **way)
    rises: list[float] = []
    for _ in range(steps):
        optimizer.step(lambda: float(np.sum(weights.astype(np.float64) ** 4)))
        rises += optimizer.rises
    known = vars(optimizer.group) | optimizer.saved()
    layout = layout_hash((name, (size,)) for name, size in SHAPES.items())
    receipt = Receipt(
        method="zo-ga",
        hashes=Hashes(layout, numbers_hash(POOL), numbers_hash(WEIGHTS), numbers_hash(weights)),
        moved=moved,
        settings={name: known[name] for name in STEP_SETTINGS},
        steps=steps,
        rises=tuple(rises),
        versions={"numpy": np.__version__},
    )
    return weights, receipt


TEXT = erased()[1].to_json()


def changed(**content: Any) -> str:
    """The receipt with other content; in the settings where it is theirs."""
    found = json.loads(TEXT)
    for name, value in content.items():
        (found["settings"] if name in found["settings"] else found)[name] = value
    return json.dumps(found)


def followed(text: str) -> tuple[Receipt, Numbers] | str:
    """The receipt in a text and the weights that it leads to, or what is said of it."""
    again = WEIGHTS.copy()
    try:
        receipt = Receipt.from_json(text)
        replay_on(parts(again), POOL, receipt)
    except ValueError as error:
        return str(error)
    return receipt, again


def refused(text: str) -> str:
    """What is said of a receipt, in one line."""
    said = followed(text)
    assert isinstance(said, str)
    assert len(said.splitlines()) == 1
    return said


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("moved", [tuple(SHAPES), ("last",), ("bias", "last")])
def test_a_replay_leads_to_the_same_weights_to_the_bit(way: dict[str, Any], moved: tuple[str, ...]) -> None:
    after, receipt = erased(9, moved, **way)
    again = WEIGHTS.copy()
    replay_on(parts(again), POOL, Receipt.from_json(receipt.to_json()))
    assert np.array_equal(again, after)
    untouched = [name for name in SHAPES if name not in moved]
    assert all(np.array_equal(parts(again)[name], parts(WEIGHTS)[name]) for name in untouched)
    changed = [name for name in moved if not np.array_equal(parts(again)[name], parts(WEIGHTS)[name])]
    assert changed == list(moved) if "blocks" not in way else changed  # of which nine steps see a few


FINITE = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(rises=st.lists(FINITE, min_size=1, max_size=40), lr=st.floats(0, 1e300), eps=st.floats(1e-300, 1e30))
def test_every_float_comes_back_to_the_bit(rises: list[float], lr: float, eps: float) -> None:
    known = dict(json.loads(TEXT)["settings"]) | {"lr": lr, "eps": eps}
    receipt = replace(erased(0)[1], steps=len(rises), rises=tuple(rises), settings=known)
    found = Receipt.from_json(receipt.to_json())
    assert found == receipt
    bits = struct.pack(f"<{len(rises) + 2}d", *rises, lr, eps)  # to which 0.0 and -0.0 are not equal
    assert struct.pack(f"<{len(rises) + 2}d", *found.rises, found.settings["lr"], found.settings["eps"]) == bits


def test_a_thousand_steps_are_small() -> None:
    _, receipt = erased(1000)
    assert len(receipt.to_json().encode()) < MOST_BYTES
    assert len(receipt.rises) == 1000


def test_no_steps_are_a_receipt_too() -> None:
    after, receipt = erased(0)
    assert np.array_equal(after, WEIGHTS)
    found = Receipt.from_json(receipt.to_json())
    assert found.replayable
    replay_on(parts(after), POOL, found)
    assert np.array_equal(after, WEIGHTS)


def test_it_is_cut_into_its_steps() -> None:
    _, receipt = erased(4, queries=3)
    assert [len(rises) for rises in receipt.of_steps()] == [3] * 4
    assert sum(receipt.of_steps(), ()) == receipt.rises


@pytest.mark.parametrize("end", [*range(0, len(TEXT) - 2, 37), len(TEXT) - 3])
def test_a_truncated_receipt_is_told(end: int) -> None:
    assert refused(TEXT[:end]) == "it is truncated, or no JSON"


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "3", '"x"', "{}", '{"format": "zo_core.edge package"}', "[" * 100_000], ids=repr
)
def test_what_is_none_is_told(text: str) -> None:
    assert refused(text) in ("it is truncated, or no JSON", "it is no receipt of an erasure")


WRONG: list[Any] = [None, "x", 1.5, -1, [], {}, True, float("nan"), 10**400, [["x"]]]
KINDS = ("maximize", "two_sided", "normalize")


@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize("name", [*json.loads(TEXT), *STEP_SETTINGS])
def test_a_field_of_another_kind_is_refused_or_leads_elsewhere(name: str, value: Any) -> None:
    text, known = changed(**{name: value}), json.loads(TEXT)
    found = followed(text)
    if isinstance(found, str):
        refused(text)
    elif name in ("method", "versions") or value == (known | known["settings"])[name]:
        assert np.array_equal(found[1], erased()[0])  # no step depends on them
    else:
        assert numbers_hash(found[1]) != found[0].hashes.after


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, bad) for name in KINDS for bad in (None, 1, "yes")),
        *((name, bad) for name in ("queries", "blocks", "steps_per_batch", "seed") for bad in (None, True, 1.0, "1")),
        *((name, bad) for name in ("lr", "eps") for bad in (None, True, "0.1", -1.0, math.nan, math.inf, 10**400)),
        *(("clip", bad) for bad in (True, "0.1", 0.0, -1.0, math.nan)),
        ("blocks", 2**62),
        ("blocks", -1),
        ("seed", -1),
        ("seed", 2**63),
    ],
)
def test_a_setting_out_of_its_kind_or_bounds_is_refused_by_name(name: str, value: Any) -> None:
    assert name in refused(changed(**{name: value}))


@pytest.mark.parametrize("name", json.loads(TEXT))
def test_a_field_that_is_not_there_is_told(name: str) -> None:
    content = json.loads(TEXT)
    del content[name]
    refused(json.dumps(content))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"version": 2}, "it is of version 2"),
        ({"rounding": "fused"}, "rounding 'fused'"),
        ({"note": 1}, "it holds what no receipt does: note"),
        ({"steps": 6}, "it has 5 rises for 6 steps"),
        ({"steps": -1}, "it was changed"),
        ({"rises": ""}, "it has 0 rises for 5 steps"),
        ({"queries": 5}, "it has 5 rises for 5 steps"),
        ({"rises": "AAAA"}, "it was changed, or is not whole"),
        ({"rises": "not base64!"}, "it was changed, or is not whole"),
        ({"moved": ["first", "nowhere"]}, "it moved parameters that are not there: nowhere"),
        ({"settings": {}}, "its settings lack, or have beside what belongs there: blocks"),
        ({"hashes": {"layout": "x"}}, "it was changed, or is not whole"),
    ],
)
def test_what_was_changed_is_told(content: dict[str, Any], said: str) -> None:
    assert said in refused(changed(**content))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_rise_that_is_not_finite_is_refused(value: float) -> None:
    _, receipt = erased()
    with pytest.raises(ReceiptError, match="one of its rises is not finite"):
        replace(receipt, rises=(*receipt.rises[:-1], value))


def test_a_rise_that_was_changed_by_one_digit_leads_elsewhere() -> None:
    after, receipt = erased()
    for place, rise in enumerate(receipt.rises):
        other = replace(receipt, rises=(*receipt.rises[:place], rise * (1 + 1e-3), *receipt.rises[place + 1 :]))
        again = WEIGHTS.copy()
        replay_on(parts(again), POOL, other)
        assert not np.array_equal(again, after)


def test_first_order_steps_are_not_replayed() -> None:
    receipt = replace(erased()[1], method="fo-ga-head", settings={"lr": 0.1}, rises=())
    found = Receipt.from_json(receipt.to_json())
    assert not found.replayable
    weights = WEIGHTS.copy()
    with pytest.raises(ReceiptError, match="the steps of fo-ga-head are first-order: they cannot be replayed"):
        replay_on(parts(weights), POOL, found)
    assert np.array_equal(weights, WEIGHTS)


def test_the_hash_of_a_layout_is_of_names_shapes_and_order() -> None:
    found = {
        layout_hash([("a", (2, 3)), ("b", (3,))]),
        layout_hash([("b", (3,)), ("a", (2, 3))]),
        layout_hash([("a", (3, 2)), ("b", (3,))]),
        layout_hash([("a", (6,)), ("b", (3,))]),
        layout_hash([("c", (2, 3)), ("b", (3,))]),
    }
    assert len(found) == 5
    assert layout_hash([("a", [2, 3]), ("b", [3])]) in found  # lists or tuples


def test_what_differs_is_told_by_name() -> None:
    _, receipt = erased()
    same = vars(receipt.hashes)
    assert differences(receipt, **same) == []
    for name in same:
        assert differences(receipt, **same | {name: "0" * 64}) == [name]
    assert differences(receipt, pool="", after="") == ["pool", "after"]
