"""The documents: what is generated is as it would be generated, and what they name is there."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import zo_core
from bench import documents as of_the_suite
from bench.base.paths import ROOT
from bench.profiles import Profile
from bench.workloads.datasets import datasets
from reports.page.readme import write as of_the_results
from reports.page.readme.galleries import read_galleries

MOST_WORDS = 900
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *(ROOT / folder / "README.md" for folder in ("bench", "profiles", "reports", "reports/gallery")),
]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def fenced(text: str, language: str) -> list[str]:
    """The code blocks of a document in one language."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def test_the_lists_are_those_of_the_code() -> None:
    for path, text in of_the_suite.documents().items():
        assert path.read_text(encoding="utf-8") == text, "run: python -m bench.documents"


def test_the_results_are_those_of_the_committed_json() -> None:
    for path, text in of_the_results.documents(read_galleries()).items():
        assert path.read_text(encoding="utf-8") == text, "run: python -m reports readme"


def test_the_readme_is_read_in_five_minutes() -> None:
    assert len(README.split()) <= MOST_WORDS


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_a_document_links_to_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    assert not [link for link in links if link and not (document.parent / link).exists()]


def test_every_option_is_described(pytestconfig: pytest.Config) -> None:
    declared = re.findall(r'addoption\(\s*"(--[a-z-]+)"', (ROOT / "bench" / "conftest.py").read_text(encoding="utf-8"))
    described = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    assert len(declared) > 5
    assert not [option for option in declared if option not in described]


def test_every_data_set_that_ships_is_named() -> None:
    text = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    shipped = [name for name in datasets if datasets.module(name).startswith("bench.")]
    assert len(shipped) > 5
    assert not [name for name in shipped if f"`{name}" not in text]


def test_the_profile_of_ones_own_is_one() -> None:
    text = fenced((ROOT / "bench" / "README.md").read_text(encoding="utf-8"), "toml")[0]
    profile = TypeAdapter(Profile).validate_python(tomllib.loads(text))
    assert {case.model for case in profile.unlearning_cases()} == {"my-net"}
    assert profile.tuning is not None


def test_what_the_documents_import_is_there() -> None:
    lines = [
        line
        for document in DOCUMENTS
        for block in fenced(document.read_text(encoding="utf-8"), "python")
        for line in block.splitlines()
        if line.startswith("from ")
    ]
    assert len(lines) >= 5
    for line in lines:
        exec(line, {})


def test_the_version_is_one() -> None:
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {zo_core.__version__}\n" in cited
    assert re.findall(r"^## ([0-9.]+)", changes, re.MULTILINE)[0] == zo_core.__version__
