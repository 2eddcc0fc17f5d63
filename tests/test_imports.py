"""The house: who may know whom, how many rooms a wing has, and what is loaded along."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from bench.base.paths import ROOT

MOST_ROOMS = 9
# A wing imports those before it, never one after it.
BENCH = [
    "base",
    "record",
    "profiles",
    "arms",
    "workloads",
    "instruments",
    "forecast",
    "run",
    "erasure",
    "gate",
    "tune",
    "erase",
]
REPORTS = ["data", "tables", "figures", "sustainability", "page"]
WINGS = [
    *(("bench", wing) for wing in BENCH if (ROOT / "bench" / wing).is_dir()),
    *(("reports", wing) for wing in REPORTS),
]
# These two need no wing between them and what they read: neither knows the other.
STRANGERS = {("gate", "tune"), ("tune", "gate"), ("sustainability", "figures")}


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    return {_name(path): path for path in (ROOT / package).rglob("*.py")}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """The dotted names that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports absolutely"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(package: str) -> set[str]:
    """The packages that any file of a package imports."""
    return {name.split(".")[0] for path in modules(package).values() for name in imported(path)}


@pytest.mark.parametrize(("package", "order"), [("bench", BENCH), ("reports", REPORTS)])
def test_a_wing_knows_those_before_it_alone(package: str, order: list[str]) -> None:
    place = {wing: number for number, wing in enumerate(order)}
    wrong = [
        f"{name} imports {other}"
        for name, path in modules(package).items()
        if (wing := (*name.split("."), "")[1]) in place
        for other in imported(path)
        if other.startswith(f"{package}.") and (seen := other.split(".")[1]) in place
        if place[seen] > place[wing] or (wing, seen) in STRANGERS
    ]
    assert not wrong


@pytest.mark.parametrize("package", ["bench", "reports", "zo_core"])
def test_no_circle(package: str) -> None:
    known = modules(package)
    sorter = TopologicalSorter({name: (imported(path) & known.keys()) - {name} for name, path in known.items()})
    assert len(list(sorter.static_order())) == len(known)  # raises CycleError, with the circle, where there is one


@pytest.mark.parametrize(("package", "wing"), WINGS)
def test_a_wing_has_few_rooms_and_says_what_they_are(package: str, wing: str) -> None:
    folder = ROOT / package / wing
    rooms = {path.name for path in folder.iterdir()} - {"__init__.py", "__pycache__"}
    assert len(rooms) <= MOST_ROOMS
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert said
    assert "Imports" in said


def test_no_module_stands_in_the_way_of_the_standard_library() -> None:
    """In the folder that Python is started in, a file of such a name would be imported instead."""
    names = {path.stem for package in ("bench", "reports", "zo_core") for path in modules(package).values()}
    assert not (names - {"__init__", "__main__"}) & sys.stdlib_module_names


def test_zo_core_imports_torch_and_the_standard_library_alone() -> None:
    assert tops("zo_core") - sys.stdlib_module_names == {"torch", "zo_core"}


def test_reports_know_nothing_of_the_suite_but_its_record() -> None:
    assert not tops("reports") & {"torch", "torchvision", "zo_core"}
    names = {name for path in modules("reports").values() for name in imported(path) if name.split(".")[0] == "bench"}
    assert {name for name in names if name.startswith("bench.record")} == names


def test_the_record_imports_pydantic_alone() -> None:
    names = {name.split(".")[0] for name in imported(ROOT / "bench" / "record.py")}
    assert names - sys.stdlib_module_names == {"pydantic"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("zo_core", {"torchvision", "bench", "pandas", "pydantic", "pytest"}),
        ("reports.__main__", {"torch", "torchvision", "zo_core", "codecarbon", "bench.profiles"}),
        ("bench.record", {"torch", "pandas", "zo_core", "bench.profiles"}),
        ("bench.conftest", {"sklearn", "scipy", "codecarbon", "pandas", "matplotlib"}),
        ("bench.forecast.__main__", {"sklearn", "scipy", "codecarbon", "pandas", "matplotlib"}),
    ],
)
def test_nothing_else_is_loaded_along(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(' '.join(sorted({absent!r} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
