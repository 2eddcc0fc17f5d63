"""Find the learning rates of a profile: `python -m bench.tune --profile digits`.

The choice goes into the profile's [unlearning.hyperparameters]; every run and score goes into NAME.tuning.json beside
it. Arms that the file holds already, tried in the same way on the same data, are not tried again, just chosen from: a
new arm, or the rest of a broken-off search, costs only what is missing.
"""

import argparse
import shlex
import sys
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import tomlkit
import torch

from bench.arms.table import check_method, methods
from bench.base.atomic_write import write_text
from bench.base.paths import CHECKPOINTS, ROOT
from bench.base.progress import Progress
from bench.base.registry import add_modules_option, import_modules
from bench.instruments.energy import EnergyMeter, Meter, NoMeter
from bench.instruments.machine import describe_commit, describe_machine
from bench.profiles import Profile, Tuned, TuningPlan, load_profile, profile_path
from bench.record import TuningCost
from bench.run.materials import Materials, profile_library
from bench.run.preflight import check_country, check_data, check_device, check_names, prepare_file, prepare_folder
from bench.tune.file import Tuning, read_tuning
from bench.tune.search import Score, Trial, choose, doubts, pilots, scores, try_arm, tunable
from bench.workloads.datasets import Library


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 if something given cannot be used."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    try:
        import_modules(options.modules)
        profile, tuning = _load(options.profile)
        for arm in options.method or ():
            _check_tunable(arm)
        library = profile_library(profile, options.data_root, options.download)
        check_data(library, [case for plan in profile.unlearning for case in profile.pilot_cases(plan, tuning)])
        prepare_file(profile_path(options.profile))
        prepare_folder(options.checkpoints)
        found = _before(options.profile, _identity(profile, tuning, library))
    except ValueError as error:
        sys.stderr.write(f"tune: {error}\n")
        return 2
    found.command = shlex.join(["python", "-m", "bench.tune", *given])
    done = {cost.method for cost in found.costs}
    arms = [arm for arm in options.method or tunable(profile) if arm not in done]
    meter: Meter = NoMeter("--no-energy") if options.no_energy else EnergyMeter(profile.country)
    materials = Materials(profile, library, options.checkpoints, Progress(len(arms)))
    _search(arms, tuning, materials, meter, found, options.profile)
    _put_into_profile(profile_path(options.profile), choose(found.scores))
    return 0


def _search(arms: list[str], tuning: TuningPlan, materials: Materials, meter: Meter, found: Tuning, name: str) -> None:
    """Try the arms one after the other, and write down each as soon as it is done."""
    profile, progress = materials.profile, materials.progress
    torch.set_num_threads(profile.threads)
    erasures = pilots(profile, tuning, materials) if arms else []
    for arm in arms:
        progress.start_case(arm)
        trials: list[Trial] = []
        window = meter.repeat(lambda: trials.extend(try_arm(arm, tuning, erasures)), at_least_s=0.0)  # noqa: B023
        if not window.repeats:
            trials.extend(try_arm(arm, tuning, erasures))
        found.trials += trials
        points = scores(trials)
        found.scores += points
        found.costs.append(
            TuningCost(
                method=arm,
                seconds=sum(trial.seconds for trial in trials),
                forward_equivalents=sum(trial.forward_equivalents for trial in trials),
                joules=window.joules,
                basis=None if window.joules is None else window.basis,
            )
        )
        found.write(name)
        progress.end_case(_said(points, tuning))
    progress.close()


def _said(found: list[Score], tuning: TuningPlan) -> str:
    """What was chosen for one arm, plan by plan, with whatever speaks against relying on it."""
    words = []
    for (plan, arm), best in choose(found).items():
        doubt = ", ".join(doubts(plan, arm, best, found, tuning))
        words.append(_as_toml(best) + (f" ({doubt})" if doubt else ""))
    return "; ".join(words) or "never complete: its entry in the profile stays as it is"


def _put_into_profile(path: Path, chosen: dict[tuple[int, str], Tuned]) -> None:
    """Write the choice into the profile; everything else in it, comments included, stays."""
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    plans = document["unlearning"]
    for (number, arm), best in chosen.items():
        plan = plans[number] if isinstance(plans, list) else plans
        plan.setdefault("hyperparameters", tomlkit.table())[arm] = tomlkit.value(_as_toml(best))
    write_text(path, tomlkit.dumps(document))


def _as_toml(best: Tuned) -> str:
    return f"{{ {', '.join(f'{name} = {value!r}' for name, value in best.model_dump(exclude_unset=True).items())} }}"


def _load(name: str) -> tuple[Profile, TuningPlan]:
    profile = load_profile(name)
    check_names(profile)
    check_country(profile.country)
    check_device(profile.devices[0])
    if profile.tuning is None or not profile.unlearning:
        raise ValueError(f"{profile.name}: add a [tuning] table with seeds and learning_rates, and an [unlearning] one")
    return profile, profile.tuning


def _check_tunable(arm: str) -> None:
    check_method(arm, "unlearning")
    method = methods.get(arm)
    if method.start is None or method.rate_of is not None:
        raise ValueError(
            f"{arm} has no learning rate of its own" + (f"; tune {method.rate_of}" if method.rate_of else "")
        )


def _identity(profile: Profile, tuning: TuningPlan, library: Library) -> str:
    plans = [
        plan.model_dump_json(exclude={"hyperparameters", "methods", "seeds", "horizon"}, exclude_defaults=True)
        for plan in profile.unlearning
    ]
    sets = {(plan.dataset or profile.dataset, plan.image_size) for plan in profile.unlearning}
    contents = [library(*which).fingerprint for which in sorted(sets)]
    return sha256("\n".join([*plans, *contents, tuning.model_dump_json()]).encode()).hexdigest()


def _before(profile: str, identity: str) -> Tuning:
    """What was tried before in this way; empty if nothing was."""
    former = read_tuning(profile)
    if former is not None and former.identity == identity:
        return former
    commit, dirty = describe_commit(ROOT)
    return Tuning(
        identity=identity,
        command="",
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        dirty=dirty,
        machine=describe_machine(),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.tune", description="Find a profile's learning rates on pilot seeds that no result uses."
    )
    add_modules_option(parser)
    parser.add_argument("--profile", required=True, help="a name from profiles/, or FILE.toml; it is written to")
    parser.add_argument("--method", nargs="+", metavar="ARM", help="default: every arm of the profile not tried yet")
    parser.add_argument("--data-root", type=Path, metavar="DIR", help="folder of torchvision's data sets")
    parser.add_argument("--download", action="store_true", help="fetch a torchvision data set that is not there")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, metavar="DIR", help="cache of trained models")
    parser.add_argument("--no-energy", action="store_true", help="do not meter what the search takes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
