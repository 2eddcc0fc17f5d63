"""What a data set holds and what was left out: for the JSON, in a line, and as the error that names what is bad."""

import tempfile
from collections.abc import Mapping

from bench.record import Inventory
from bench.workloads.images.folder import in_a_line

MOST_NAMES, MOST_CLASSES, EXAMPLES = 100, 20, 3


def refuse_unreadable(dataset: str, unreadable: Mapping[str, str]) -> None:
    """Raise ValueError if there are any: all of them by name, in one line; where they are very many, in a file.

    Args:
        unreadable: reasons by name.
    """
    if not unreadable:
        return
    listed, left = [], MOST_NAMES
    for reason, names in by_reason(unreadable).items():
        if left:
            listed.append(f"{reason}: {', '.join(map(in_a_line, names[:left]))}")
            left -= len(names[:left])
    if len(unreadable) > MOST_NAMES:
        listed.append(f"and {len(unreadable) - MOST_NAMES:,} more, all of them in {_file(unreadable)}")
    what = "1 file" if len(unreadable) == 1 else f"{len(unreadable):,} files"
    raise ValueError(
        f"{dataset}: {what} cannot be read ({'; '.join(listed)}): mend or remove them, or set skip_unreadable = true "
        "in [data]"
    )


def by_reason(unreadable: Mapping[str, str]) -> dict[str, list[str]]:
    """Names by reason, from reasons by name."""
    found: dict[str, list[str]] = {}
    for name, reason in unreadable.items():
        found.setdefault(reason, []).append(name)
    return found


def in_words(inventory: Inventory) -> str:
    """How many samples of which classes, and what was left out with some names, in one line."""
    parts = [f"{part} {_counted(counts)}" for part, counts in (("train", inventory.train), ("test", inventory.test))]
    left = [f"{len(names):,} {reason} ({_some(names)})" for reason, names in inventory.left_out.items()]
    return f"{inventory.dataset}: {', '.join(parts)}" + ("; left out: " + "; ".join(left) if left else "")


def _counted(counts: Mapping[str, int]) -> str:
    total, least, most = sum(counts.values()), min(counts.values()), max(counts.values())
    if least == most:
        return f"{total:,} ({most:,} of each of {len(counts)} classes)"
    if len(counts) > MOST_CLASSES:
        return f"{total:,} ({least:,} to {most:,} of each of {len(counts)} classes)"
    return f"{total:,} ({', '.join(f'{in_a_line(name)} {count:,}' for name, count in counts.items())})"


def _some(names: tuple[str, ...]) -> str:
    return ", ".join([*map(in_a_line, names[:EXAMPLES]), *(["..."] if len(names) > EXAMPLES else [])])


def _file(unreadable: Mapping[str, str]) -> str:
    with tempfile.NamedTemporaryFile("w", prefix="unreadable-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.writelines(f"{in_a_line(name)}: {reason}\n" for name, reason in unreadable.items())
    return file.name
