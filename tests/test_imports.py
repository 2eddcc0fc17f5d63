"""The house: who may know whom, how many rooms a wing has, and what is loaded along."""

import ast
import subprocess
import sys
from collections.abc import Iterator
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

WORKSTATION_COMMANDS = {"zo_core.edge.commands.export", "zo_core.edge.commands.load"}
WITHOUT_TORCH = [
    *("zo_core.course", "zo_core.spsa", "zo_core.receipt", "zo_core.ascent.plan"),
    *("zo_core.engine.flat", "zo_core.engine.cuts", "zo_core.engine.streams", "zo_core.engine.interrupts"),
]
DEVICE = [
    *("zo_core", "zo_core.edge", "zo_core.edge.__main__", "zo_core.edge.files", "zo_core.edge.package"),
    *(f"zo_core.edge.device.{path.stem}" for path in sorted((ROOT / "zo_core/edge/device").glob("*.py"))),
    *(f"zo_core.edge.commands.{name}" for name in ("erase", "measure", "replay", "verify")),
]
TORCH, EXPORT = "pip install 'zo-unlearning-bench[torch]'", "pip install 'zo-unlearning-bench[export]'"
WANTED = {
    "zo_core.ZOSGD": TORCH,
    "zo_core.replay": TORCH,
    "zo_core.edge.export": EXPORT,
    "zo_core.edge.load": EXPORT,
    "zo_core.edge.EdgeZO": None,
    "zo_core.Receipt": None,
    "zo_core.geometric_steps": None,
}


def modules(package: str) -> dict[str, Path]:
    """Every module of a package by its dotted name."""
    return {_name(path): path for path in (ROOT / package).rglob("*.py")}


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """The dotted names that a file imports, wherever in it, but for what type checkers alone see."""
    found = set()
    for node in _nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports absolutely"
            found |= {str(node.module)} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """It and all that is in it that runs."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING"):
            yield from _nodes(child)


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


def others(path: Path) -> set[str]:
    """The packages that a file imports beside Python's own and the standard library's."""
    return {name.split(".")[0] for name in imported(path)} - sys.stdlib_module_names


def test_zo_core_imports_what_its_parts_may_and_no_other() -> None:
    """Torch and numpy; the edge, an engine and pictures; the edge's workstation, what writes graphs and files."""
    core = {name: others(path) - {"zo_core"} for name, path in modules("zo_core").items()}
    edge = {name: found for name, found in core.items() if name.startswith("zo_core.edge")}
    workstation = {
        name: found
        for name, found in edge.items()
        if name.startswith("zo_core.edge.workstation") or name in WORKSTATION_COMMANDS
    }
    device = {name: found for name, found in edge.items() if name not in workstation}
    rest = {name: found for name, found in core.items() if name not in edge}
    assert set().union(*rest.values()) == {"torch", "numpy"}
    assert set().union(*device.values()) == {"numpy", "onnxruntime", "PIL"}
    assert set().union(*workstation.values()) <= {"numpy", "torch", "onnx_ir", "onnxscript", "safetensors"}
    assert {"torch", "onnx_ir", "onnxscript", "safetensors"} <= set().union(*workstation.values())


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_what_every_engine_shares_knows_no_torch(name: str) -> None:
    """Nor does what it imports, and so on."""
    known, found, left = modules("zo_core"), set[str](), [name]
    while left:
        one = left.pop()
        found.add(one)
        left += [other for other in imported(known[one]) & known.keys() - found if other != "zo_core"]
    assert not {top for one in found for top in others(known[one])} - {"numpy", "zo_core"}


@pytest.mark.parametrize("folder", [path.parent for path in sorted((ROOT / "zo_core").rglob("__init__.py"))], ids=str)
def test_a_folder_of_zo_core_has_few_rooms_and_says_what_they_are(folder: Path) -> None:
    rooms = {path.name for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert len(rooms - {"__init__.py"}) <= MOST_ROOMS
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))


def test_without_torch_a_line_says_what_to_install() -> None:
    """Also of what the edge needs on a workstation; whatever needs no torch is there."""
    for name, said in WANTED.items():
        home, _, what = name.rpartition(".")
        code = f"import sys; sys.modules['torch'] = None; from {home} import {what}"
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0 if said is None else 1, "")
        assert done.stderr.splitlines()[-1:] == ([] if said is None else [f"ImportError: {name} needs torch: {said}"])


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
        ("zo_core", {"torch", "numpy", "torchvision", "bench", "pandas", "pydantic", "pytest"}),
        (", ".join(DEVICE), {"torch", "onnx", "onnx_ir", "onnxscript", "safetensors", "bench", "reports"}),
        (", ".join(WITHOUT_TORCH), {"torch", "onnxruntime", "PIL", "bench", "reports"}),
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
