"""Putting the results into the documents: marked places of README.md, the whole of reports/gallery/README.md."""

import re
from collections.abc import Mapping
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from reports.data.words.glossary import image_sizes
from reports.figures import style
from reports.page.readme import sentences, tables
from reports.page.readme.galleries import FOLDER, Galleries, read_galleries
from reports.page.readme.headline import headline
from reports.tables import depth, engines, erasures, machine, side_by_side, steps

README, GALLERY = FOLDER.parent.parent / "README.md", FOLDER / "README.md"
PICTURE = FOLDER / "headline.png"
BLOCK = re.compile(r"(?<=<!-- )(?P<name>(?!end )\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def documents(galleries: Galleries) -> dict[Path, str]:
    """What each file should hold."""
    blocks = {
        "outcome": sentences.outcome(galleries),
        "device": sentences.device(galleries),
        "caption": sentences.caption(galleries),
        "verdicts": "\n".join(sentences.verdicts(galleries)),
    }
    return {README: filled(README.read_text(encoding="utf-8"), blocks), GALLERY: _gallery(galleries)}


def filled(text: str, blocks: Mapping[str, str]) -> str:
    """The text with each block between `<!-- NAME -->` and `<!-- end -->`; raises KeyError for an unknown name."""
    return BLOCK.sub(lambda found: f"{found['name']}{found[2]}{blocks[found['name']]}\n", text)


def write_documents() -> list[Path]:
    """Write the documents and the headline figure anew from the committed JSON; returns what was written."""
    galleries = read_galleries()
    for path, text in documents(galleries).items():
        path.write_text(text, encoding="utf-8")
    style.use()
    headline(galleries.images, galleries.edge).savefig(PICTURE)
    return [README, GALLERY, PICTURE]


def _gallery(galleries: Galleries) -> str:
    templates = Environment(
        loader=ChoiceLoader([PackageLoader("reports.page.readme", "."), PackageLoader("reports.page", "templates")]),
        autoescape=False,  # noqa: S701 (it is Markdown, and escapes its own signs)
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    return templates.get_template("gallery.md.j2").render(
        galleries=galleries,
        image_sizes=image_sizes,
        sentences=sentences,
        tables=tables,
        steps=steps,
        depth=depth,
        erasures=erasures,
        side_by_side=side_by_side,
        engines=engines,
        machine=machine,
    )
