"""What an erasure did, as a small file, and doing it again without the data.

A zeroth-order step is its rises, some float64 numbers: with the settings, the pool and the weights before it they lead
to the weights after it, to the bit, in numpy or torch. A receipt holds them with the hashes of everything else.

It proves that these weights follow from those by such steps. It does not prove that anything was forgotten, nor on
whose data the losses were seen.
"""

import base64
import binascii
import json
import math
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zo_core.course import SETTINGS

if TYPE_CHECKING:
    from zo_core.engine.flat import Numbers

VERSION = 1
FORMAT = "zo_core.receipt"
ROUNDING = "float32, the product of scale and z rounded before it is added"
STEP_SETTINGS = ("lr", "eps", "clip", "maximize", *SETTINGS)
SWITCHES, LENGTHS = ("maximize", "two_sided", "normalize"), ("lr", "eps", "clip")


class ReceiptError(ValueError):
    """A receipt that cannot be used; the message is one line."""


@dataclass(frozen=True)
class Hashes:
    """SHA-256, in hex.

    Attributes:
        layout: of the parameters' names and shapes in their order.
        pool: of the pool's numbers, little-endian.
        before, after: of the parameters' numbers, little-endian, one after the other, as they were and as they became.
    """

    layout: str
    pool: str
    before: str
    after: str


@dataclass(frozen=True)
class Receipt:
    """What an erasure did.

    Attributes:
        method: the arm's name.
        hashes: of what it began with and of what it came to.
        moved: names of the parameters that it moved, in their order; all others stayed as they were.
        settings: of every step: lr, eps, clip, maximize and those of a `Course`; fewer where a first-order method took
            the steps.
        steps: how many there were.
        rises: one a step and query, in their order; none where a first-order method took the steps, which then cannot
            be replayed.
        versions: of what took the steps, by name.
    """

    method: str
    hashes: Hashes
    moved: tuple[str, ...]
    settings: Mapping[str, Any]
    steps: int
    rises: tuple[float, ...] = field(repr=False)
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first_order = not self.rises and "queries" not in self.settings
        if first_order or (not self.rises and not self.steps):
            return
        if wrong := sorted(set(self.settings) ^ set(STEP_SETTINGS)):
            raise ReceiptError(f"its settings lack, or have beside what belongs there: {', '.join(wrong)}")
        if wrong := [name for name, value in self.settings.items() if not _fits(name, value)]:
            raise ReceiptError(f"its settings have what cannot be there: {', '.join(wrong)}")
        if len(self.rises) != self.steps * self.settings["queries"]:
            raise ReceiptError(f"it has {len(self.rises)} rises for {self.steps} steps")
        if not all(map(math.isfinite, self.rises)):
            raise ReceiptError("one of its rises is not finite")

    @property
    def replayable(self) -> bool:
        """Whether its steps can be taken again without the data."""
        return bool(self.rises) or self.steps == 0

    def of_steps(self) -> list[tuple[float, ...]]:
        """The rises of each step."""
        queries = self.settings["queries"] if self.rises else 1
        return [self.rises[first : first + queries] for first in range(0, len(self.rises), queries)]

    def to_json(self) -> str:
        """The receipt as text; a thousand steps of one query take some 11 KB."""
        packed = base64.b64encode(struct.pack(f"<{len(self.rises)}d", *self.rises)).decode("ascii")
        content = {"format": FORMAT, "version": VERSION, "rounding": ROUNDING} | asdict(self) | {"rises": packed}
        return json.dumps(content, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Receipt":
        """Read what `to_json` wrote.

        Raises:
            ReceiptError: it is no receipt, or not whole, or of another version.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            raise ReceiptError("it is truncated, or no JSON") from None
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ReceiptError("it is no receipt of an erasure")
        if content.get("version") != VERSION or content.get("rounding") != ROUNDING:
            raise ReceiptError(
                f"it is of version {content.get('version')!r}, rounding {content.get('rounding')!r}; this is version "
                f"{VERSION}, {ROUNDING!r}"
            )
        try:
            return _read(content)
        except ReceiptError:
            raise
        except (KeyError, TypeError, ValueError, struct.error, binascii.Error) as error:
            raise ReceiptError(f"it was changed, or is not whole: {type(error).__name__} {error}") from None

    @classmethod
    def read(cls, path: Path) -> "Receipt":
        """The receipt in a file; raises ReceiptError, with the file's name."""
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ReceiptError(f"{path}: {error.strerror}") from None
        except ReceiptError as error:
            raise ReceiptError(f"{path}: {error}") from None
        except UnicodeDecodeError:
            raise ReceiptError(f"{path}: it is truncated, or no JSON") from None


def layout_hash(shapes: Iterable[tuple[str, Sequence[int]]]) -> str:
    """Of the parameters' names and shapes in their order; see `Hashes.layout`."""
    return sha256(json.dumps([[name, list(shape)] for name, shape in shapes]).encode()).hexdigest()


def numbers_hash(numbers: "Numbers") -> str:
    """Of a contiguous float32 array; see `Hashes`."""
    little = numbers.astype("<f4", copy=False)
    return sha256(little.data).hexdigest()


def replay_on(parameters: Mapping[str, "Numbers"], pool: "Numbers", receipt: Receipt) -> None:
    """Take the receipt's steps on flat parameters, in place.

    Args:
        parameters: (numbers,) float32 views by name, in the order of the layout.
        pool: (3 N,) float32.

    Raises:
        ReceiptError: it cannot be replayed, or moves what is not there.
    """
    from zo_core.engine.flat import FlatZO

    if not receipt.replayable:
        raise ReceiptError(f"the steps of {receipt.method} are first-order: they cannot be replayed without the data")
    if absent := [name for name in receipt.moved if name not in parameters]:
        raise ReceiptError(f"it moved parameters that are not there: {', '.join(absent[:3])}")
    if not receipt.steps:
        return
    moved = [parameters[name] for name in receipt.moved]
    optimizer = FlatZO(moved, pool, **receipt.settings)
    for rises in receipt.of_steps():
        optimizer.replay(rises)


def differences(receipt: Receipt, **found: str) -> list[str]:
    """Which of the hashes that are given, by their names in `Hashes`, are others than the receipt says."""
    return [name for name, value in found.items() if value != getattr(receipt.hashes, name)]


def _fits(name: str, value: Any) -> bool:
    """Whether a setting is of its kind; what its bounds are, `Course` and `Group` know."""
    if name in SWITCHES:
        return isinstance(value, bool)
    if value is None:
        return name == "clip"
    kind = float | int if name in LENGTHS else int
    return isinstance(value, kind) and not isinstance(value, bool) and (isinstance(value, float) or abs(value) < 2**63)


def _read(content: dict[str, Any]) -> Receipt:
    raw = base64.b64decode(content["rises"], validate=True)
    steps, moved, settings = content["steps"], content["moved"], content["settings"]
    if not isinstance(steps, int) or steps < 0 or not isinstance(moved, list) or not isinstance(settings, dict):
        raise ReceiptError("it was changed, or is not whole")
    known = {one.name for one in fields(Receipt)} | {"format", "version", "rounding"}
    if unknown := sorted(set(content) - known):
        raise ReceiptError(f"it holds what no receipt does: {', '.join(unknown)}")
    return Receipt(
        method=str(content["method"]),
        hashes=Hashes(**content["hashes"]),
        moved=tuple(map(str, moved)),
        settings=settings,
        steps=steps,
        rises=struct.unpack(f"<{len(raw) // 8}d", raw),
        versions=dict(content["versions"]),
    )
