"""Where the results come from, as the records say."""

from reports.data.load import load
from reports.tables.machine import machine_table
from tests.reports.conftest import Write


def test_the_origin_names_machine_commit_and_command(write_json: Write) -> None:
    facts = dict(machine_table(load([write_json()])).rows)
    assert facts["commit"] == "0123456789ab"
    assert facts["command"] == "pytest bench/ --benchmark-json"
    assert facts["memory"] == "16.0 GiB"
    assert facts["torch"] == "2.11.0"


def test_the_origin_says_what_kind_of_machine_it_is(write_json: Write) -> None:
    facts = dict(machine_table(load([write_json()])).rows)
    assert (facts["virtual machine"], facts["container"]) == ("not known", "not known")
    assert facts["energy counter (RAPL)"] == "absent"


def test_facts_stand_in_the_column_of_their_run(write_json: Write) -> None:
    first, second = write_json(name="a.json"), write_json(name="b.json")
    second.write_text(second.read_text().replace('"torch": "2.11.0"', '"torch": "2.11.0", "CUDA": "13.0"'))
    table = machine_table(load([first, second]))
    assert table.columns == ("fact", "run 1", "run 2")
    assert ("CUDA", "n/a", "13.0") in table.rows
