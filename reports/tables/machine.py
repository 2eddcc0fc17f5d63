"""Where the results come from: machine, versions, commit and command."""

from bench.record import Inventory, Run
from reports.data.load import Results
from reports.tables.table import MISSING, Table


def machine_table(results: Results) -> Table:
    """Machine, versions, commit and command, a column a run."""
    facts: list[dict[str, str]] = []
    for run in results.runs:
        machine = run.machine
        facts.append(
            {
                "profile": run.profile,
                "command": run.command,
                "started": run.started,
                **{f"data: {found.dataset}": _held(found) for found in run.data},
                "commit": commit_text(run, "not a git checkout"),
                "processor": f"{machine.processor}, {machine.cores} cores",
                "memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
                "accelerator": " with driver ".join(filter(None, (machine.accelerator, machine.driver))) or "none",
                "system": ", ".join(filter(None, (machine.system, machine.libc))),
                "virtual machine": _yes_or_no(machine.virtual_machine),
                "container": _yes_or_no(machine.container),
                "energy counter (RAPL)": machine.rapl,
                "Python": machine.python,
                **machine.versions,
            }
        )
    names = dict.fromkeys(name for of_run in facts for name in of_run)
    rows = tuple((name, *(of_run.get(name, MISSING) for of_run in facts)) for name in names)
    heads = (f"run {index + 1}" for index in range(len(facts)))
    return Table("Where it comes from", "", ("fact", *heads), rows)


def _held(found: Inventory) -> str:
    """How many samples of how many classes a data set held, and what was left out of it."""
    counted = f"{sum(found.train.values()):,} training and {sum(found.test.values()):,} test samples"
    left_out = "".join(f"; left out: {len(names)} ({reason})" for reason, names in found.left_out.items())
    return f"{counted} of {len(found.train)} classes{left_out}"


def commit_text(run: Run, unknown: str = "unknown") -> str:
    """The commit, shortened, and whether more than that was in the tree."""
    return (run.commit or unknown)[: 12 if run.commit else None] + (" with uncommitted changes" if run.dirty else "")


def _yes_or_no(answer: bool | None) -> str:
    return {True: "yes", False: "no", None: "not known"}[answer]
