"""What pip installs: the wheel holds the suite, and `zo-bench` runs it from any folder, whatever else is there.

The environments are fresh but for torch and the other dependencies, which they borrow from the one of the tests.
"""

import itertools
import os
import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from bench.base.paths import ROOT
from bench.commands import COMMANDS
from bench.instruments.ledgers.process_ledger import RESET
from bench.record import read_benchmark_json
from tests.test_documents import fenced

LEFT_OUT = re.compile(r"__pycache__|README\.md$|reports/(gallery|latest)/")
HOSTILE = "raise SystemExit('this is not the suite')"
MOST_LINES = 10
MINE = """
from pathlib import Path

from bench.workloads.models import models
from torch import nn

WIDTH = int(Path("width.txt").read_text())  # whoever imports it is in the folder that the user works in


@models.register("my-net")
def my_net(spec):
    return nn.Sequential(nn.Flatten(), nn.Linear(spec.channels * spec.size**2, WIDTH), nn.Linear(WIDTH, spec.classes))
"""


class Installed:
    """An environment with the suite in it.

    Args:
        folder: where to make it.
        what: what pip is to install, beside its options.
    """

    def __init__(self, folder: Path, *what: str) -> None:
        self.bin = folder / "bin"
        venv.create(folder, with_pip=True, symlinks=True)
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.packages = folder / "lib" / version / "site-packages"
        borrowed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        (self.packages / "borrowed.pth").write_text("\n".join(borrowed))
        pip = (
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--no-build-isolation",
            "--force-reinstall",
        )
        done = self.run(folder, "python", *pip, *what)
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, where: Path, program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, or one by its whole path, in a folder."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST_"))}
        command = [self.bin / program, *arguments]
        return subprocess.run(command, cwd=where, env=clean | variables, capture_output=True, text=True, check=False)

    def files(self) -> set[Path]:
        """All that is installed, but for what Python compiles."""
        return {path for path in self.packages.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository of the user's own."""
    folder = tmp_path_factory.mktemp("theirs")
    who = ("-c", "user.name=A User", "-c", "user.email=user@example.org")
    for arguments in (("init", "--quiet"), (*who, "commit", "--quiet", "--allow-empty", "-m", "theirs")):
        subprocess.run(["git", "-C", folder, *arguments], check=True)
    return folder


@pytest.fixture(scope="module")
def installed(wheel: Path, repository: Path) -> Installed:
    return Installed(repository / ".venv", str(wheel))


def test_the_wheel_holds_what_the_suite_reads_and_no_more(wheel: Path) -> None:
    sources = [
        path.relative_to(ROOT).as_posix()
        for folder in ("zo_core", "bench", "reports", "profiles")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    ]
    wanted = {name for name in sources if not LEFT_OUT.search(name)} - {"bench/zo_bench.py"} | {"zo_bench.py"}
    wanted |= {"pyproject.toml"}
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names == {name if name.startswith("zo_core/") else f"zo_unlearning_bench/{name}" for name in wanted}
    for kind in (".toml", ".tuning.json", "baselines/quick.json", ".j2", ".css", ".js", ".html", "py.typed"):
        assert any(name.endswith(kind) for name in names), kind


def test_without_the_extra_a_line_says_what_to_install(wheel: Path, tmp_path: Path) -> None:
    """Python alone, without any packages."""
    zipfile.ZipFile(wheel).extractall(tmp_path)
    start = "import sys; sys.path.append('.'); from zo_unlearning_bench.zo_bench import main; sys.exit(main())"
    for name, command in COMMANDS.items():
        line = [sys.executable, "-I", "-S", "-c", start, name]
        done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        said = rf"zo-bench {name}: \w+ is not installed: pip install 'zo-unlearning-bench\[{command.extra}\]'\n"
        assert re.fullmatch(said, done.stderr), done.stderr
    help_alone = [sys.executable, "-I", "-S", "-c", start, "--help"]
    said = subprocess.run(help_alone, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert all(f"  {name} " in said for name in COMMANDS)


@pytest.mark.slow
def test_everything_runs_from_an_empty_folder(installed: Installed, repository: Path) -> None:
    folder = repository / "empty"
    folder.mkdir()
    before = installed.files()

    def zo_bench(*arguments: str) -> tuple[int, str]:
        done = installed.run(folder, "zo-bench", *arguments)
        return done.returncode, done.stdout + done.stderr

    code, said = zo_bench("run", "--profile", "smoke", "-k", "cnn-b1-zo-ga or retrain")
    assert code == 0, said
    run, records = read_benchmark_json(folder / "reports" / "latest" / "benchmark.json")
    assert run.command == "zo-bench run --profile smoke -k 'cnn-b1-zo-ga or retrain'"
    assert (run.commit, run.dirty) == (None, None)  # the repository around the environment is not the suite's
    assert len(records) > 2
    assert all((record.memory.process_peak_bytes is not None) is RESET.exists() for record in records)
    assert list((folder / ".cache" / "checkpoints").iterdir())

    assert zo_bench("report")[0] == 0
    assert (folder / "reports" / "latest" / "index.html").stat().st_size > 0
    code, said = zo_bench("gate", "--update")
    assert (code, len(said.splitlines())) == (2, 1), said
    assert "is part of the installed package and stays as it is: name a file of yours with --baseline FILE" in said
    assert zo_bench("gate", "--baseline", "mine.json", "--update")[0] == 0
    code, said = zo_bench("gate", "--baseline", "mine.json")
    assert (code, said) == (0, f"memory of {len(records)} cases: the baseline holds\n")
    code, said = zo_bench("tune", "--profile", "digits")
    assert (code, len(said.splitlines())) == (2, 1), said
    assert "is part of the installed package and stays as it is: copy it, and give --profile the copy" in said
    code, said = zo_bench("forecast", "--model", "cnn")
    assert (code, said.count("zo-ga")) == (0, 1), said
    code, said = zo_bench("report", "readme")
    assert (code, len(said.splitlines())) == (2, 1), said

    assert installed.files() == before
    assert {path.name for path in folder.iterdir()} == {".cache", "reports", "mine.json"}


@pytest.mark.slow
def test_the_recipe_for_another_repository(installed: Installed, repository: Path) -> None:
    """As bench/README.md has it, among files of the user's that pytest or Python could take for the suite's."""
    text = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    (recipe,) = fenced(text, "yaml")
    (profile,) = (block for block in fenced(text, "toml") if "[step]" in block)
    assert len(recipe.splitlines()) <= MOST_LINES
    steps = re.findall(r"^- run: (.*)$", recipe, re.MULTILINE)
    assert len(steps) == len(recipe.splitlines())
    first = itertools.takewhile(lambda step: not step.startswith("zo-bench "), steps)
    assert [step.split()[0] for step in first] == ["git", "pip"]

    (repository / "memory.toml").write_text(profile)
    (repository / "my_net.py").write_text(MINE)
    (repository / "width.txt").write_text("16")
    (repository / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\npython_files = *.toml\n")
    for name in ("conftest.py", "torch.py", "statistics.py", "bench/__init__.py", "reports/__init__.py"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text(HOSTILE)

    def shell(step: str) -> subprocess.CompletedProcess[str]:
        return installed.run(repository, "/bin/sh", "-c", step, PATH=path)

    path = f"{installed.bin}{os.pathsep}{os.environ['PATH']}"
    measure, gate = steps[2:]
    done = shell(measure)
    assert done.returncode == 0, done.stdout + done.stderr
    _, records = read_benchmark_json(repository / "reports" / "latest" / "benchmark.json")
    assert {record.case.model for record in records} == {"my-net"}
    assert all((record.memory.process_peak_bytes is not None) is RESET.exists() for record in records)
    assert shell(f"{gate} --update").returncode == 0
    assert shell(gate).returncode == 0

    (repository / "width.txt").write_text("17")
    assert shell(measure).returncode == 0
    done = shell(gate)
    assert done.returncode == 1
    assert f"{len(records)} regressions" in done.stdout
    done = shell(measure.replace("my_net", "my_nets"))
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert done.stderr.strip() == "ERROR: -p my_nets: no such module here or on PYTHONPATH"


@pytest.mark.slow
def test_an_editable_install_runs_the_clone(tmp_path: Path) -> None:
    environment = Installed(tmp_path / "environment", "-e", str(ROOT))
    program = "import bench.base.paths, reports, zo_core; print(bench.base.paths.DEFAULT_JSON)"
    done = environment.run(tmp_path, "python", "-c", program)
    assert done.stdout == f"{ROOT / 'reports' / 'latest' / 'benchmark.json'}\n", done.stderr
    done = environment.run(tmp_path, "zo-bench", "run", "--collect-only", "-q")
    assert "bench/test_step_cost.py::test_step_cost[resnet18-b8-zo-ga]" in done.stdout.splitlines(), done.stderr
    theirs = tmp_path / "theirs" / "bench"
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").touch()
    done = environment.run(tmp_path, "zo-bench", "gate", PYTHONPATH=str(theirs.parent))
    assert done.returncode == 2
    hidden = f"the suite's package bench is hidden by {theirs / '__init__.py'}"
    assert done.stderr == f"zo-bench: {hidden}: install the suite again, without -e\n"
