"""A drawing of matplotlib's as an element of the page: in the page's colours, under ids of its own, and short."""

import re

from reports.figures.style import FOLLOWING


def for_the_page(svg: str, name: str) -> str:
    """The element of a whole SVG file; `name` begins its ids, and is no other figure's."""
    element = re.sub(r"<!--.*?-->|^ +", "", svg[svg.index("<svg") :], flags=re.DOTALL | re.MULTILINE)
    element = _ids(_paths(element), name)
    return re.sub("|".join(FOLLOWING), lambda found: f"var(--{FOLLOWING[found.group()]})", element)


def _paths(svg: str) -> str:
    """Coordinates to a hundredth of a point, and no blanks around a path's letters."""

    def shorter(found: re.Match[str]) -> str:
        return re.sub(r"\s*([A-Za-z])\s*", r"\1", re.sub(r"(\.\d\d)\d+", r"\1", found.group(2)))

    return re.sub(r'( d=")([^"]*)', lambda found: found.group(1) + shorter(found), svg)


def _ids(svg: str, name: str) -> str:
    """Only the ids that something refers to, counted after the name of the figure."""
    used = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    own = {old: f"{name}-{number}" for number, old in enumerate(used)}
    svg = re.sub(r' id="([^"]*)"', lambda found: f' id="{own[found[1]]}"' if found[1] in own else "", svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', lambda found: f'href="#{own[found[1]]}"', svg)
    return re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{own[found[1]]})", svg)
