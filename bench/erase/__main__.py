"""One erasure and nothing else.

`python -m bench.erase --model resnet20 --weights model.safetensors --data photos/ --image-size 32 --forget list.txt
--method zo-ga --out erased.safetensors` makes the model forget and measures that. The model is written to the file; the
profile, the benchmark JSON and the report with the statement of exactly this request to the folder of its name.
"""

import shlex
import subprocess
import sys
from argparse import Namespace
from contextlib import closing
from pathlib import Path

import tomlkit
from pydantic import ValidationError

from bench.base.atomic_write import write_text
from bench.base.paths import ROOT, called
from bench.base.progress import Progress
from bench.base.registry import import_modules
from bench.erase.asked import check_out, parser, profile_of
from bench.erase.pilot import search_rate
from bench.instruments.energy import EnergyMeter, Meter, NoMeter
from bench.profiles import Profile, Tuned
from bench.record import Record, first_line, model_file, read_benchmark_json
from bench.run.command_line import main as run
from bench.run.materials import Materials, profile_library
from bench.run.preflight import (
    check_country,
    check_data,
    check_device,
    check_names,
    check_weights,
    prepare_file,
    prepare_folder,
)
from bench.tune.search import check_tunable
from bench.workloads.images.folder import in_a_line
from bench.workloads.splits import split

INCOMPLETE, UNUSABLE = 1, 2
PROFILE = "profile.toml"
RUINOUS = 5.0  # points of accuracy on what is to be kept
QUIET = ("--quiet", "--no-header", "--no-summary", "--benchmark-quiet")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 1 if the erasure did not complete, 2 if something cannot be used."""
    given = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(given)
    path = options.out.with_suffix("") / PROFILE
    try:
        import_modules(options.modules)
        check_tunable(options.method)
        profile = profile_of(options)
        materials = _checked(profile, options)
        name = _class_name(materials)
        with closing(materials.progress):
            rate = _rate(profile, materials, options, shlex.join([*called("erase").split(), *given]))
    except ValueError as error:
        reason = first_line(error) if isinstance(error, ValidationError) else error
        sys.stderr.write(f"erase: {reason}\n")
        return UNUSABLE
    _write_profile(path, profile, {options.method: rate})
    return _erase(options, path, name)


def _checked(profile: Profile, options: Namespace) -> Materials:
    """What the erasure is made of; raises ValueError for whatever cannot be used."""
    check_names(profile)
    check_out(options)
    check_country(profile.country)
    check_device(options.device)
    library = profile_library(profile, options.data_root, options.download, options.checkpoints, _tell)
    check_data(library, profile.unlearning_cases())
    check_weights(profile, library, options.download)
    prepare_file(options.out)
    for folder in (options.out.with_suffix(""), options.checkpoints):
        prepare_folder(folder)
    return Materials(profile, library, options.checkpoints, Progress(total=1), options.download)


def _class_name(materials: Materials) -> str | None:
    """The name of the class that is to be forgotten, which is told where it was given by its index; None for a list.

    Raises:
        ValueError: there is no such class.
    """
    case = materials.profile.unlearning_cases()[0]
    data = materials.data_of(case)
    label = split(data, str(case.scenario), case.seed).forgotten_class
    if label is None:
        return None
    name = in_a_line(data.classes[label])
    if case.scenario != f"class:{data.classes[label]}":
        _tell(f"{case.scenario} is {name}")
    return name


def _rate(profile: Profile, materials: Materials, options: Namespace, command: str) -> Tuned:
    """The learning rate that is given, or else found by a search."""
    if options.lr is not None:
        return Tuned(lr=options.lr, eps=options.eps)
    meter: Meter = NoMeter("--no-energy") if options.no_energy else EnergyMeter(profile.country)
    path = options.out.with_suffix("") / PROFILE
    return search_rate(profile, options.method, materials, meter, str(path), command)


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _write_profile(path: Path, profile: Profile, rates: dict[str, Tuned]) -> None:
    """The profile that pytest is to run, with the arm's rate."""
    plan = profile.unlearning[0].model_copy(update={"hyperparameters": rates})
    table = profile.model_copy(update={"unlearning": [plan]}).model_dump(mode="json", exclude_unset=True)
    write_text(path, tomlkit.dumps(table))


def _erase(options: Namespace, profile: Path, name: str | None) -> int:
    """Run the one case, put its model into its place, draw the report, and say how it ended; `name` is the class's."""
    folder = profile.parent
    json_path = folder / "benchmark.json"
    files = ["--profile", profile, f"--benchmark-json={json_path}", "--save-models", folder]
    files += ["--checkpoints", options.checkpoints, *(["--data-root", options.data_root] if options.data_root else [])]
    switches = [f"--{name}" for name in ("download", "no-energy") if getattr(options, name.replace("-", "_"))]
    modules = [f"-p{module}" for module in options.modules]
    if run([*modules, *map(str, files), *switches, *QUIET]):
        return UNUSABLE
    [record] = read_benchmark_json(json_path)[1]
    complete = record.completion is not None and record.completion.reached
    if complete:
        (folder / model_file(record.case)).replace(options.out)
    _draw(json_path, folder)
    sys.stdout.write(_said(record, options.out, complete, name))
    return 0 if complete else INCOMPLETE


def _draw(json_path: Path, folder: Path) -> None:
    """The report is made by a process of its own: the suite knows nothing of it."""
    command = [sys.executable, "-m", "reports", str(json_path.absolute()), "--out", str(folder.absolute())]
    drawn = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    sys.stdout.write(drawn.stdout)
    if drawn.returncode:
        reason = (drawn.stderr.strip().splitlines() or ["?"])[-1]
        sys.stdout.write(f"no report was drawn: {reason}\n")


def _said(record: Record, model: Path, complete: bool, name: str | None) -> str:
    """What became of the request, in a few lines."""
    asked, worth, curve = record.erased, record.quality, record.curve
    lines = [record.story]
    if asked is not None:
        of_class = "" if name is None else f", the class {name}"
        lines.append(f"asked: {asked.samples} of {asked.of} training samples{of_class}, SHA-256 {asked.digest}")
        lines.append(f"complete where the model is right on at most {_percent(asked.target)} of them")
    if curve is not None and worth is not None:
        lines += [
            f"{what}: {_percent(before)} right before, {_percent(after)} now"
            for what, before, after in (
                ("to be forgotten", curve.forget_accuracy[0], 100 - worth.ua),
                ("to be kept", curve.retain_accuracy[0], worth.ra),
                ("test data", curve.test_accuracy[0], worth.ta),
            )
        ]
        lost = (curve.retain_accuracy[0] or 0.0) - worth.ra
        if complete and lost > RUINOUS:
            lines.append(f"the model has lost {lost:.1f} points on what is to be kept: try a lower --lr or another arm")
    former = f"; {model} is of a former run" if model.exists() else ""
    lines.append(f"the model is in {model}" if complete else f"no model was written: it has not forgotten{former}")
    return "".join(f"{line}\n" for line in lines)


def _percent(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.1f} %"


if __name__ == "__main__":
    sys.exit(main())
