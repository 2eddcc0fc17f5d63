"""A drawing of matplotlib's as an element of the page: in its colours and typeface, under ids of its own, and short."""

import re
from collections import Counter

from reports.figures.style import FOLLOWING


def for_the_page(svg: str, name: str) -> str:
    """The element of a whole SVG file; `name` begins its ids, and is no other figure's."""
    element = re.sub(r"<!--.*?-->|^ +", "", svg[svg.index("<svg") :], flags=re.DOTALL | re.MULTILINE)
    element = _ids(re.sub("<[^>]+>", lambda tag: _shorter(tag.group()), element), name)
    element = _classes(re.sub(r"<metadata>.*?</metadata>|<g>\s*</g>", "", element, flags=re.DOTALL), name)
    return re.sub("|".join(FOLLOWING), lambda found: f"var(--{FOLLOWING[found.group()]})", element)


def _shorter(tag: str) -> str:
    """Coordinates to a tenth of a point, no blanks around a path's letters, no turn by nothing; and of a text no
    typeface, which is the page's to say.
    """
    tag = re.sub(r"\d+\.\d\d+", lambda number: f"{float(number.group()):.1f}".removesuffix(".0"), tag)
    tag = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", re.sub(r" ?font-family: [^;]*;", "", tag))
    return re.sub(r' d="([^"]*)"', lambda found: f' d="{_path(found[1])}"', tag)


def _path(d: str) -> str:
    """Of a path of straight lines each point by its distance from the one before, and that in as few letters as it
    takes; other paths without the blanks around their letters.
    """
    commands = [(words[0], words[1:]) for line in d.strip().split("\n") if (words := line.split())]
    if {letter for letter, _ in commands} - {"M", "L", "z"}:
        return re.sub(r"\s*([A-Za-z])\s*", r"\1", d.strip())
    written, last = "", (0, 0)
    for letter, numbers in commands:
        if letter == "z":
            written += "z"
            continue
        point = (round(10 * float(numbers[0])), round(10 * float(numbers[1])))
        ends = point if letter == "M" else (point[0] - last[0], point[1] - last[1])
        written += f"{letter if letter == 'M' else 'l'}{ends[0] / 10:g} {ends[1] / 10:g}"
        last = point
    return written


def _ids(svg: str, name: str) -> str:
    """Only the ids that something refers to, counted after the name of the figure."""
    used = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    own = {old: f"{name}-{number}" for number, old in enumerate(used)}
    svg = re.sub(r' id="([^"]*)"', lambda found: f' id="{own[found[1]]}"' if found[1] in own else "", svg)
    svg = re.sub(r'xlink:href="#([^"]+)"', lambda found: f'href="#{own[found[1]]}"', svg)
    return re.sub(r"url\(#([^)]+)\)", lambda found: f"url(#{own[found[1]]})", svg)


def _classes(svg: str, name: str) -> str:
    """Looks that several elements have, said once, by classes that are counted after the name of the figure."""
    looks = Counter(re.findall(r' style="([^"]*)"', svg))
    own = {look: f"{name}_{number}" for number, (look, times) in enumerate(looks.items()) if times > 1}
    svg = re.sub(r' style="([^"]*)"', lambda found: f' class="{own[found[1]]}"' if found[1] in own else found[0], svg)
    rules = "".join(f".{short}{{{look}}}" for look, short in own.items())
    return svg.replace(">", f"><style>{rules}</style>", 1)
