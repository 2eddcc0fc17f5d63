"""Names as the figures can write them: as people call things, short, and in characters that the font has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd
from matplotlib.font_manager import FontProperties, findfont, get_font

from reports.data.words.spoken import network

MOST_LETTERS = {"model": 36, "method": 24, "setting": 96}


@dataclass(frozen=True)
class Labels:
    """What the figures write for the names of a column, where they cannot write one as it is."""

    of_column: Mapping[str, Mapping[str, str]]

    def on(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with such names."""
        known = {column: names for column, names in self.of_column.items() if column in rows}
        if "network" in rows:  # a model without its engine
            rows = rows.assign(network=rows["network"].map(network))
        return rows.assign(**{column: rows[column].map(names) for column, names in known.items()})


def labels(cases: pd.DataFrame, spoken: Mapping[str, str] = MappingProxyType({})) -> Labels:
    """For all names in the cases; different ones stay different.

    Args:
        spoken: what people call some of them.
    """
    shown = {column: _shown(cases[column].dropna().unique(), most, spoken) for column, most in MOST_LETTERS.items()}
    return Labels({column: names for column, names in shown.items() if any(a != b for a, b in names.items())})


def _shown(names: Iterable[str], most: int, spoken: Mapping[str, str]) -> dict[str, str]:
    has = get_font(findfont(FontProperties())).get_charmap()
    shown: dict[str, str] = {}
    for name in names:
        said = spoken.get(name, name)
        text = "".join(letter if ord(letter) in has else ascii(letter)[1:-1] for letter in said)
        text = text if len(text) <= most else f"{text[: most - 1]}…"
        alike = sum(other.startswith(text) for other in shown.values())
        shown[name] = f"{text} ({alike + 1})" if text in shown.values() else text
    return shown
