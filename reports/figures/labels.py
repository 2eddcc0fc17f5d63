"""Names as the figures can write them: short, and in characters that the font has."""

from collections.abc import Iterable
from dataclasses import replace

import pandas as pd
from matplotlib.font_manager import FontProperties, findfont, get_font

from reports.data.load import Results

MOST_LETTERS = {"model": 24, "method": 24, "setting": 48}


def drawable(results: Results) -> Results:
    """The results with such names; different ones stay different."""
    known = {column: _shown(results.cases[column].dropna().unique(), most) for column, most in MOST_LETTERS.items()}

    def renamed(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(**{column: frame[column].map(names) for column, names in known.items()})

    if all(name == shown for names in known.values() for name, shown in names.items()):
        return results
    return replace(results, cases=renamed(results.cases), curves=renamed(results.curves))


def _shown(names: Iterable[str], most: int) -> dict[str, str]:
    has = get_font(findfont(FontProperties())).get_charmap()
    shown: dict[str, str] = {}
    for name in names:
        text = "".join(letter if ord(letter) in has else ascii(letter)[1:-1] for letter in name)
        text = text if len(text) <= most else f"{text[: most - 1]}…"
        alike = sum(other.startswith(text) for other in shown.values())
        shown[name] = f"{text} ({alike + 1})" if text in shown.values() else text
    return shown
