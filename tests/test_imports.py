"""The import rules of the design: who may know whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def imported(package: str) -> set[tuple[str, str]]:
    """(file, dotted name) of every import statement in a package."""
    found = set()
    for path in (ROOT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {(path.name, alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path.name}: write imports absolutely"
                found |= {(path.name, str(node.module))}
                found |= {(path.name, f"{node.module}.{alias.name}") for alias in node.names}
    return found


def test_zo_core_imports_torch_and_the_standard_library_alone() -> None:
    allowed = sys.stdlib_module_names | {"torch", "zo_core"}
    assert not {entry for entry in imported("zo_core") if entry[1].split(".")[0] not in allowed}


def test_reports_know_nothing_of_the_suite_but_its_record() -> None:
    entries = imported("reports")
    assert not {entry for entry in entries if entry[1].split(".")[0] in {"torch", "torchvision", "zo_core"}}
    of_bench = {name for _, name in entries if name.split(".")[0] == "bench"}
    assert {name for name in of_bench if name.startswith("bench.record")} == of_bench


def test_the_record_imports_pydantic_alone() -> None:
    tops = {name.split(".")[0] for file, name in imported("bench") if file == "record.py"}
    assert tops - sys.stdlib_module_names == {"pydantic"}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("zo_core", {"torchvision", "bench", "pandas", "pydantic", "pytest"}),
        ("reports.__main__", {"torch", "torchvision", "zo_core", "codecarbon", "bench.profile"}),
        ("bench.record", {"torch", "pandas", "zo_core", "bench.profile"}),
    ],
)
def test_nothing_else_is_loaded_along(module: str, absent: set[str]) -> None:
    code = f"import sys, {module}; print(' '.join(sorted({absent!r} & set(sys.modules))))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
