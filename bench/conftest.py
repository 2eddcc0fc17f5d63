"""pytest hooks and fixtures of the suite. They parse and delegate; the rooms beside this file do the work."""

from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from bench.arms.table import methods
from bench.base.paths import CHECKPOINTS
from bench.base.progress import Progress
from bench.instruments.ledgers.process_ledger import process_ledger
from bench.instruments.machine import available_devices
from bench.profiles import available_profiles
from bench.record import Case, Searched, TuningCost
from bench.run.benchmark_json import write_benchmark_json
from bench.run.command_line import Settings, as_usage_error, read
from bench.run.journal import Journal
from bench.run.materials import Materials, profile_library
from bench.run.preflight import check_data, check_retrain, check_tails, check_weights
from bench.run.suite import Suite, describe_run
from bench.tune.file import tuning_costs
from bench.tune.searched import searched
from bench.workloads.images.inventory import in_words

SETTINGS = pytest.StashKey[Settings]()
TUNING = pytest.StashKey[tuple[tuple[TuningCost, ...], tuple[Searched, ...]]]()
SUITE = pytest.StashKey[Suite]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The suite's own options."""
    group = parser.getgroup("unlearning", "machine unlearning benchmark")
    group.addoption("--profile", default="quick", help=f"what to run: {', '.join(available_profiles())}, or FILE.toml")
    group.addoption("--device", metavar="DEVICE", help="cpu, cuda, mps or xpu, instead of the profile's devices")
    group.addoption("--threads", type=int, metavar="N", help="CPU threads, instead of the profile's")
    group.addoption("--country", metavar="ISO3", help="grid for the emissions, instead of the profile's")
    group.addoption("--data-root", type=Path, metavar="DIR", help="folder of torchvision's data sets")
    group.addoption("--download", action="store_true", help="fetch a torchvision data set that is not there")
    group.addoption("--checkpoints", type=Path, default=CHECKPOINTS, metavar="DIR", help="cache of trained models")
    group.addoption("--resume", action="store_true", help="keep what an interrupted run has finished")
    group.addoption(
        "--lr", action="append", metavar="ARM=VALUE", help="an arm's learning rate, instead of the profile's"
    )
    group.addoption(
        "--save-models", type=Path, metavar="DIR", help="write every arm's model at completion, as safetensors"
    )
    group.addoption("--memory-only", action="store_true", help="only the memory ledgers: no time, energy or training")
    group.addoption("--no-energy", action="store_true", help="do not meter energy")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check everything that needs no data, and take the JSON over from pytest-benchmark (`run/benchmark_json.py`)."""
    with as_usage_error():
        config.stash[SETTINGS] = settings = read(config.option)
        which = config.option.profile, settings.profile
        config.stash[TUNING] = tuning_costs(*which), searched(*which)
    config.option.benchmark_json = None


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The profile and its arms, in words."""
    profile = config.stash[SETTINGS].profile
    names = dict.fromkeys(case.method for case in [*profile.step_cases(), *profile.unlearning_cases()])
    arms = [f"  {name}: {methods.get(name).description}" for name in names]
    return [f"profile {profile.name}: {profile.description}", *arms]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for every case of the profile; visibly skipped where its device is missing."""
    if "case" in metafunc.fixturenames:
        profile = metafunc.config.stash[SETTINGS].profile
        cases = profile.step_cases() if metafunc.module.KIND == "step" else profile.unlearning_cases()
        metafunc.parametrize("case", [_parameter(case, profile.name) for case in cases])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Drop what pytest puts in the place of a kind that the profile has no cases of."""
    items[:] = [item for item in items if "NOTSET" not in item.name]


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> tuple[str, str, str] | None:
    """No dots, since the progress lines say more; the last line counts how the cases ended."""
    if report.when != "call" or not report.passed:
        return None
    suite = config.stash.get(SUITE, None)
    record = None if suite is None else suite.record_of(report.nodeid)
    return ("passed" if record is None else record.ending, "", "")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Check what needs the data, open the journal, leave out what it holds."""
    if session.items and not session.config.option.collectonly and not session.testsfailed:
        with as_usage_error():
            _start(session)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the JSON of all that is finished, also after an interruption."""
    suite = session.config.stash.get(SUITE, None)
    if suite is None:
        return
    path = session.config.stash[SETTINGS].json_path
    try:
        suite.tell_wide_spreads()
        if path is not None:
            write_benchmark_json(path, session.config, suite)
    except OSError as error:
        journal = suite.journal.path.name
        suite.progress.say(f"cannot write {path}: {error.strerror}; {journal} has the finished cases: --resume")
        session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
    finally:
        suite.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Tell the user which case begins, and how it ended."""
    suite = item.config.stash.get(SUITE, None)
    if suite is None:  # something else could not be collected, and pytest was told to go on
        pytest.exit("the cases were not checked: leave --continue-on-collection-errors out", returncode=4)
    suite.progress.start_case(item.name)
    result = yield
    record = suite.record_of(item.nodeid)
    suite.progress.end_case("not measured" if record is None else record.story)
    return result


@pytest.fixture
def suite(request: pytest.FixtureRequest) -> Suite:
    """The running suite."""
    return request.config.stash[SUITE]


def _start(session: pytest.Session) -> None:
    settings, reporter = session.config.stash[SETTINGS], session.config.pluginmanager.getplugin("terminalreporter")
    process_ledger()  # gets ready while the data are read
    profile = settings.profile
    torch.set_num_threads(profile.threads)
    data = profile_library(profile, settings.data_root, settings.download, settings.checkpoints, reporter.write_line)
    cases = [case for item in session.items if (case := _case(item)) and not item.get_closest_marker("skip")]
    check_data(data, cases)
    check_tails(profile, data)
    weights = check_weights(profile, data, settings.download)
    if not settings.memory_only:
        check_retrain(profile, data, cases)
    arguments, tuning = session.config.invocation_params.args, session.config.stash[TUNING]
    run = describe_run(settings, data, weights, arguments, *tuning, _timing(session.config))
    journal = Journal(settings.journal, run.fingerprint, settings.resume)
    pending = [item for item in session.items if item.nodeid not in journal.entries]
    progress = Progress(len(pending))
    if settings.resume:
        finished = len(session.items) - len(pending)
        progress.say(f"resume: {finished} finished, {len(pending)} to do, {journal.foreign} of another run")
    for inventory in run.data:
        progress.say(in_words(inventory))
    session.items = pending
    materials = Materials(profile, data, settings.checkpoints, progress, settings.download)
    session.config.stash[SUITE] = Suite(settings, materials, run, journal)
    reporter.showfspath = reporter._show_progress_info = False  # the progress lines say more


def _timing(config: pytest.Config) -> str:
    """How pytest-benchmark times, as far as its options change that."""
    benchmarks = config._benchmarksession  # type: ignore[attr-defined]
    if benchmarks.disabled:
        return "off"
    options = benchmarks.options
    return f"{options['timer']}, without garbage collection: {options['disable_gc']}, profiled: {options['cprofile']}"


def _case(item: pytest.Item) -> Case | None:
    """The case of an item of ours; None for a test that stands beside the suite."""
    return cast("Case | None", item.callspec.params.get("case")) if hasattr(item, "callspec") else None


def _parameter(case: Case, profile: str) -> Any:
    missing = case.device not in available_devices()
    reason = f"no {case.device} device here, and profile {profile!r} merely allows it"
    return pytest.param(case, id=case.id, marks=[pytest.mark.skip(reason=reason)] if missing else [])
