"""JSON that is short and yet has lines, for `diff` and `grep`."""

import json
from collections.abc import Iterable, Mapping
from typing import Any


def row_a_line(rows: Iterable[Any]) -> str:
    """A list, an item of it a line."""
    lines = ",\n".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in rows)
    return f"[\n{lines}\n]" if lines else "[]"


def with_tables(data: Mapping[str, Any], tables: Mapping[str, Iterable[Any]]) -> str:
    """An object: what is in `data` indented, then the lists in `tables`, an item of them a line."""
    head = json.dumps(data, indent=1, ensure_ascii=False).removesuffix("\n}")
    return ",\n".join([head, *(f' "{name}": {row_a_line(rows)}' for name, rows in tables.items())]) + "\n}\n"
