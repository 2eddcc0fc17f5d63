"""Runs over time: worse to the byte in memory, by more than a tenth and the spread in time, on one machine alone."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.record import Record, UnreadableJsonError
from reports.__main__ import main
from reports.history import History, drawing, history
from tests.reports.conftest import Write, changed, step_record, unlearning_record
from tests.reports.test_compare import taking

MEMORY, TIME, ENERGY = "live tensors, MiB", "step over two forwards", "energy, J"
Over = Callable[..., History]


@pytest.fixture
def over(write_json: Write) -> Over:
    """The history of runs, each of such records, a day apart, given to it the wrong way round."""

    def of(*runs: list[Record], processors: tuple[str, ...] = ()) -> History:
        paths = []
        for day, records in enumerate(runs):
            path = write_json(records, f"{day}.json", processor=processors[day] if processors else "A CPU")
            content = json.loads(path.read_text())
            content["run"] |= {"started": f"2026-01-{day + 1:02d}T00:00:00+00:00", "commit": f"{day}" * 40}
            path.write_text(json.dumps(content))
            paths.append(path)
        return history(paths[::-1])

    return of


def worse(found: History, measure: str) -> list[int]:
    (line,) = found.lines
    return [point.place for point in line.regressions[measure]]


@pytest.mark.parametrize(
    ("extra", "factor", "in_memory", "in_time"),
    [(0, 1.0, [], []), (1, 1.0, [1], []), (-1, 1.0, [], []), (0, 1.09, [], []), (0, 1.15, [], [1]), (0, 0.5, [], [])],
)
def test_what_is_more_is_a_regression(
    over: Over, extra: int, factor: float, in_memory: list[int], in_time: list[int]
) -> None:
    """The fixture's quartiles are 1 / 1.05 and 1 / 0.95 of the median, so that 1.15 is clear of them."""
    before = step_record("zo-ga", 4)
    found = over([before], [taking(before, extra, factor)])
    assert (worse(found, MEMORY), worse(found, TIME)) == (in_memory, in_time)


def test_each_run_is_held_against_the_one_before_it(over: Over) -> None:
    step = step_record("zo-ga", 4)
    found = over([step], [taking(step, 5, 1.0)], [taking(step, 5, 1.0)], [taking(step, 3, 1.0)], [taking(step, 4, 1.0)])
    assert worse(found, MEMORY) == [1, 4]
    assert [run.commit for run in found.runs] == [f"{day}" * 40 for day in range(5)]


def test_time_is_held_against_the_same_hardware_only(over: Over) -> None:
    fast, slow = step_record("zo-ga", 4), taking(step_record("zo-ga", 4), 1, 2.0)
    found = over([fast], [slow], [fast], [slow], processors=("A", "B", "A", "A"))
    assert worse(found, TIME) == [3]
    assert worse(found, MEMORY) == [1, 3]  # the same anywhere


def test_an_erasure_is_the_mean_over_its_seeds(over: Over) -> None:
    def costing(joules: float) -> list[Record]:
        return [
            changed(unlearning_record("zo-ga", seed), "completion.joules", joules * factor)
            for seed, factor in enumerate((0.5, 1.0, 1.5))
        ]

    found = over(costing(20), costing(21), costing(24))
    assert worse(found, ENERGY) == [2]
    (line,) = found.lines
    assert [point.value for point in line.points[ENERGY]] == pytest.approx([20, 21, 24])
    assert line.case == "cnn digits b4 class:3 zo-ga"


def test_what_became_worse_last_comes_first(over: Over) -> None:
    steps = [step_record("zo-ga", batch) for batch in (1, 4, 16)]
    found = over(steps, [*steps[:2], taking(steps[2], 1, 1.0)])
    assert found.lines[0].case == "cnn b16 zo-ga 8x8"
    assert found.summary == "Runs: 2; cases: 3; worse in the last run: 1 (cnn b16 zo-ga 8x8)."
    assert found.table.rows[0][-1] == "1"
    assert drawing(found).axes[0].get_title("left") == "cnn b16 zo-ga 8x8"


def test_a_file_of_another_version_is_left_out_and_said(
    write_json: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, good = tmp_path / "old.json", write_json([step_record("zo-ga", 4)])
    old.write_text(good.read_text().replace('"schema": 10', '"schema": 5'))
    assert main(["history", str(old), str(good), "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{old}: schema 5, but this version reads schema 10")
    assert said[1] == "Runs: 1; cases: 1; worse in the last run: 0."
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"history.md", "history.png"}
    with pytest.raises(UnreadableJsonError):
        history([old])


def test_a_folder_that_cannot_be_written_is_a_line(
    write_json: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["history", str(write_json()), "--out", str(tmp_path / "file")]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("reports: cannot write ")
