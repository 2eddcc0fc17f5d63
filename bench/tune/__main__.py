"""Find the learning rates of a profile: `python -m bench.tune --profile digits`.

The choice goes into the profile's [unlearning.hyperparameters]; every run and score goes into NAME.tuning.json beside
it. Arms that the file holds already, tried in the same way on the same data, are not tried again, just chosen from: a
new arm, or the rest of a broken-off search, costs only what is missing. Several may search one profile at once, for
different arms.
"""

import argparse
import shlex
import sys
from collections.abc import Iterable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import tomlkit
import torch

from bench.arms.table import methods
from bench.base.atomic_write import write_text
from bench.base.paths import CHECKPOINTS, called, check_own
from bench.base.progress import Progress
from bench.base.registry import Registry, add_modules_option, import_modules
from bench.instruments.energy import EnergyMeter, Meter, NoMeter
from bench.profiles import Profile, TuningPlan, load_profile, profile_path
from bench.record import ModelFile
from bench.run.materials import Materials, profile_library
from bench.run.preflight import (
    check_country,
    check_data,
    check_device,
    check_names,
    check_retrain,
    check_tails,
    check_weights,
    prepare_file,
    prepare_folder,
)
from bench.tune.choice import STANDARD, Choice, choose
from bench.tune.file import alone_at, plans_of, tuning_path
from bench.tune.search import Pilot, check_tunable, grid, pilots, plans_wanting, searched_for, tunable, without_requests
from bench.tune.trying import as_toml, tried_before, try_arms
from bench.workloads.datasets import Library
from bench.workloads.models import models


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 if something given cannot be used."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    try:
        import_modules(options.modules)
        profile, tuning = _load(options.profile)
        for arm in options.method or ():
            check_tunable(arm)
        library = profile_library(profile, options.data_root, options.download, options.checkpoints, _tell, tuning=True)
        cases = [case for plan in profile.unlearning for case in profile.pilot_cases(plan, tuning)]
        check_data(library, cases)
        check_tails(profile, library, {tail for arm in tunable(profile) for tail in tuning.tails_of(arm)})
        weights = check_weights(profile, library, options.download)
        check_retrain(profile, library, cases)
        check_own(profile_path(options.profile), "copy it, and give --profile the copy")
        prepare_file(profile_path(options.profile))
        prepare_folder(options.checkpoints)
        command = shlex.join([*called("tune").split(), *given])
        plans = plans_of(profile)
        found = tried_before(options.profile, _identity(profile, tuning, library, weights), plans, command, _tell)
    except ValueError as error:
        sys.stderr.write(f"tune: {error}\n")
        return 2
    wanted = options.method or tunable(profile)
    sources = {arm: _own_source(methods, arm) for arm in wanted}
    found.forget_changed(
        options.profile, sources, {arm: {point.tail for point, *_ in grid(arm, tuning)} for arm in wanted}
    )
    lacking = {arm: plans_wanting(arm, profile) - found.plans_tried(arm) for arm in wanted}
    arms = sorted((arm for arm in wanted if lacking[arm]), key=lambda arm: arm != STANDARD)  # others are held to it
    meter: Meter = NoMeter("--no-energy") if options.no_energy else EnergyMeter(profile.country)
    torch.set_num_threads(profile.threads)
    with closing(Progress(len(arms))) as progress:
        materials = Materials(profile, library, options.checkpoints, progress, options.download)
        erasures = pilots(profile, tuning, materials, set().union(*lacking.values()))

        def own(arm: str) -> list[Pilot]:
            return [pilot for pilot in erasures if pilot.plan in lacking[arm]]

        try_arms(arms, tuning, own, progress, meter, found, options.profile)
    with alone_at(options.profile):
        _put_into_profile(profile, profile_path(options.profile), choose(found.scores))
    if not arms:
        places = f"{tuning_path(options.profile)} has what was tried, {profile_path(options.profile)} what was chosen"
        _tell(f"nothing was left to search for {', '.join(wanted)}: {places}")
    return 0


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _put_into_profile(profile: Profile, path: Path, chosen: dict[tuple[int, str], Choice]) -> None:
    """Write the choice into the profile; everything else in it, comments included, stays.

    A plan for another engine gets what its arms were given in the plan that was searched for it.
    """
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    plans = document["unlearning"]
    places = [
        (number, arm, best)
        for (searched, arm), best in chosen.items()
        for number, plan in enumerate(profile.unlearning)
        if number == searched or (arm in plan.methods and searched_for(profile, number) == searched)
    ]
    tables = {number: plans[number] if isinstance(plans, list) else plans for number, *_ in places}
    new = [plan for plan in tables.values() if "hyperparameters" not in plan]
    for number, arm, best in places:
        table = tables[number].setdefault("hyperparameters", tomlkit.table())
        table[arm] = tomlkit.value(as_toml(best.score.tuned))
    for plan in new:
        plan["hyperparameters"].add(tomlkit.nl())  # before the table that follows
    write_text(path, tomlkit.dumps(document).rstrip("\n") + "\n")


def _load(name: str) -> tuple[Profile, TuningPlan]:
    profile = load_profile(name)
    check_names(profile)
    check_country(profile.country)
    check_device(profile.devices[0])
    if profile.tuning is None or not profile.unlearning:
        raise ValueError(f"{profile.name}: add a [tuning] table with seeds and learning_rates, and an [unlearning] one")
    return without_requests(profile), profile.tuning


def _identity(profile: Profile, tuning: TuningPlan, library: Library, weights: Iterable[ModelFile]) -> str:
    plans = [
        plan.model_dump_json(exclude={"hyperparameters", "methods", "seeds", "horizon"}, exclude_defaults=True)
        for plan in profile.unlearning
    ]
    sets = {(plan.dataset or profile.dataset, plan.image_size) for plan in profile.unlearning}
    contents = [library(*which).fingerprint for which in sorted(sets)]
    contents += [file.sha256 for file in weights]
    contents += filter(
        None, [_own_source(models, name) for name in sorted({plan.model for plan in profile.unlearning})]
    )
    common = tuning.model_copy(update={"arm_tails": {}})  # an arm's own are compared with what it was tried on
    return sha256("\n".join([*plans, *contents, common.model_dump_json()]).encode()).hexdigest()


def _own_source(registry: Registry[Any], name: str) -> str:
    """A hash over code of the user's own, or of a library; empty for what the suite brings, as `identity` says."""
    ours = registry.module(name).startswith("bench.") and ":" not in name
    return "" if ours else registry.source(name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=called("tune"), description="Find a profile's learning rates on pilot seeds that no result uses."
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
