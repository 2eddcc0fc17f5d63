"""The lists in bench/README.md and profiles/README.md, from the code: `python -m bench.documents` writes them anew."""

import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bench.arms.arm import STEP
from bench.arms.table import methods
from bench.base.atomic_write import write_text
from bench.base.paths import PROFILES, ROOT
from bench.profiles import Profile, available_profiles, load_profile

BENCH, OF_PROFILES = ROOT / "bench" / "README.md", PROFILES / "README.md"
ARMS = re.compile(r"(?<=<!-- arms -->\n).*(?=<!-- end -->)", re.DOTALL)
INTRODUCTION = """# Profiles

What to run: `pytest bench/ --profile NAME`, by name from this folder or as `FILE.toml`. Written by `python -m
bench.documents` from the models in [`bench/profiles.py`](../bench/profiles.py) and the profiles themselves.

Learning rates of profiles whose figures are quoted are not set by hand: `python -m bench.tune --profile NAME` tries one
grid for every arm on seeds that no result uses, takes the best ToW at completion (of those within 0.02 of it, the
cheapest in sample-forwards), writes the choice into the profile, and keeps every trial beside it, in
`NAME.tuning.json`. With `batch_sizes = "tuned"` an arm's batch size is searched for, too, and with `tails` how much of
the network it moves. Where a class is forgotten, a point counts only if a probe (20 samples a class) recovers at most 3
points more of it than after `fo-ga` on the whole network; an arm that never goes so deep keeps its longest tail. Where
`fo-ga` itself failed there, with a ToW below 0.5, no arm is held to its depth.
`baselines/` has what the memory gate compares with.
What T\\*, ToW and Retrain are: [what is measured](../bench/README.md#what-is-measured).
"""


def documents() -> dict[Path, str]:
    """What each file should hold."""
    return {BENCH: ARMS.sub(lambda _: _arms(), BENCH.read_text(encoding="utf-8")), OF_PROFILES: _profiles()}


def _arms() -> str:
    """The arms of whole erasures, then those of single steps alone."""
    rows = [(name, methods.get(name)) for name in methods if methods.module(name).startswith("bench.")]
    whole = [f"| `{name}` | {arm.description} |" for name, arm in rows if arm.kinds != STEP]
    steps = [f"| `{name}` | {arm.description} |" for name, arm in rows if arm.kinds == STEP]
    return "\n".join(
        ["| arm | what it does |", "|---|---|", *whole, "", "For the cost of a step there are also:", "",
         "| arm | what it does |", "|---|---|", *steps, ""]
    )  # fmt: skip


def _profiles() -> str:
    shipped = [f"| [`{name}`]({name}.toml) | {load_profile(name).description} |" for name in available_profiles()]
    table = "\n".join(["| profile | what it runs |", "|---|---|", *shipped])
    return "\n".join([INTRODUCTION, table, "", *_keys("", Profile)])


def _keys(path: str, table: type[BaseModel]) -> Iterator[str]:
    """A section for a table of the file, and after it those of the tables in it."""
    yield f"## `[{path}]`\n" if path else "## At the top\n"
    yield f"{cleandoc(str(table.__doc__))}\n"
    yield "| key | default | meaning |\n|---|---|---|"
    inner = {}
    for name, field in table.model_fields.items():
        model, named = _model_of(field.annotation)
        yield f"| `{name}` | {_default(field, model)} | {_cell(str(field.description))} |"
        if model is not None:
            inner[f"{path}.{name}".lstrip(".") + (".ARM" if named else "")] = model
    yield ""
    for where, model in inner.items():
        yield from _keys(where, model)


def _model_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """The table that a field holds, alone, in a list, or, then True, by name; None for a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    found = (_model_of(argument)[0] for argument in get_args(annotation))
    return next(filter(None, found), None), getattr(annotation, "__origin__", None) is dict


def _default(field: FieldInfo, model: type[BaseModel] | None) -> str:
    if field.is_required():
        return "must be given"
    if model is not None or field.default in (None, ""):
        return ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("T*", "T\\*")


if __name__ == "__main__":
    for path, text in documents().items():
        write_text(path, text)
