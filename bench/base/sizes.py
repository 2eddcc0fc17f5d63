"""Sizes in bytes as people write and read them."""

import re

from pydantic import ByteSize, TypeAdapter, ValidationError

MIB = 2**20
SIZE = re.compile(r"\s*[0-9]+(\.[0-9]+)?\s*[A-Za-z]*\s*", re.ASCII)  # pydantic ignores what follows a size


def parse_bytes(text: str) -> int:
    """Bytes of "65536", "64KiB", "1.5MB" and the like.

    Raises:
        ValueError: it is no size.
    """
    try:
        if SIZE.fullmatch(text):
            return int(TypeAdapter(ByteSize).validate_python(text))
    except (ValidationError, OverflowError):
        pass
    raise ValueError(f"{text!r} is no size; write bytes, or a number with KiB, MiB, GiB, kB, MB or GB")


def mib(size: int) -> str:
    """Bytes in MiB, with two digits."""
    return f"{size / MIB:,.2f} MiB"
