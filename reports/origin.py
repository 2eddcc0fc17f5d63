"""Where the results come from: machine, versions, commit and command."""

from reports.load import Results
from reports.table import Table


def machine_table(results: Results) -> Table:
    """Machine, versions, commit and command, a column a run."""
    facts: dict[str, list[str]] = {}
    for run in results.runs:
        machine = run.machine
        entries = {
            "profile": run.profile,
            "command": run.command,
            "started": run.started,
            "commit": _commit(run.commit, run.dirty),
            "processor": f"{machine.processor}, {machine.cores} cores",
            "memory": f"{machine.memory_bytes / 2**30:.1f} GiB",
            "accelerator": " with driver ".join(filter(None, (machine.accelerator, machine.driver))) or "none",
            "system": ", ".join(filter(None, (machine.system, machine.libc))),
            "virtual machine": _yes_or_no(machine.virtual_machine),
            "container": _yes_or_no(machine.container),
            "energy counter (RAPL)": machine.rapl or "not recorded",
            "Python": machine.python,
            **machine.versions,
        }
        for name, value in entries.items():
            facts.setdefault(name, []).append(value)
    rows = tuple((name, *values) for name, values in facts.items())
    return Table("Where it comes from", "", ("", *(f"run {index + 1}" for index in range(len(results.runs)))), rows)


def _yes_or_no(answer: bool | None) -> str:
    return {True: "yes", False: "no", None: "not known"}[answer]


def _commit(commit: str | None, dirty: bool | None) -> str:
    if commit is None:
        return "not a git checkout"
    return commit[:12] + (" with uncommitted changes" if dirty else "")
