"""Drawings in the page: the same picture in fewer letters."""

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from reports.page.inline_svg import for_the_page

DRAWN = """<?xml version="1.0"?>
<svg width="10.000000pt" viewBox="0 0 10 10">
 <metadata><rdf/></metadata>
 <path id="line" d="M 1.04 2.06
L 3.25 1
L 3.25 1.5
z
" style="stroke: #0072b2"/>
 <path d="M 0 0
C 0 1.26 2 3 4 5
z
" style="stroke: #0072b2"/>
 <use xlink:href="#line" x="482.849684" style="fill: none"/>
 <text style="font-size: 10px; font-family: 'DejaVu Sans'; fill: #1b1b1b" transform="rotate(-0 1 2)">1.23456 &lt;</text>
</svg>"""


def test_coordinates_are_short_and_looks_said_once() -> None:
    found = for_the_page(DRAWN, "cost")
    assert found == (
        '<svg width="10pt" viewBox="0 0 10 10"><style>.cost_0{stroke: var(--zeroth)}</style>\n\n'
        '<path id="cost-0" d="M1 2.1l2.2 -1.1l0 0.5z" class="cost_0"/>\n'
        '<path d="M0 0C0 1.3 2 3 4 5z" class="cost_0"/>\n'
        '<use href="#cost-0" x="482.8" style="fill: none"/>\n'
        '<text style="font-size: 10px; fill: var(--ink)">1.23456 &lt;</text>\n'
        "</svg>"
    )


@pytest.mark.parametrize("figure", [0, 1])
def test_every_point_of_a_line_is_where_it_was_to_a_tenth_of_a_point(figure: int) -> None:
    points = [(1.04, 2.06), (3.25, 1.0), (-3.3, 0.05), (100.15, 7.77)][figure:]
    way = "\n".join(f"{'L' if place else 'M'} {x} {y}" for place, (x, y) in enumerate(points))
    (short,) = re.findall(r' d="([^"]*)"', for_the_page(f'<svg><path d="{way}"/></svg>', "x"))
    x = y = 0.0
    for (letter, numbers), (there, down) in zip(re.findall(r"([Ml])([^Ml]*)", short), points, strict=True):
        dx, dy = map(float, numbers.split())
        x, y = (dx, dy) if letter == "M" else (x + dx, y + dy)
        assert (x, y) == pytest.approx((there, down), abs=0.11)


def test_a_figure_of_matplotlib_comes_through(tmp_path: Path) -> None:
    figure = Figure()
    figure.subplots().plot([1, 2, 3], [3, 1, 2])
    figure.savefig(tmp_path / "figure.svg")
    whole = (tmp_path / "figure.svg").read_text()
    found = for_the_page(whole, "x")
    assert found.startswith("<svg")
    assert len(found) < 0.8 * len(whole)
    assert set(re.findall(r'href="#([^"]+)"', found)) <= set(re.findall(r' id="([^"]+)"', found))
