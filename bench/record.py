"""What a benchmark JSON holds: one `Record` a case, and the `Run` they came from.

The only module of the suite that the reports import; it needs pydantic alone. A figure that was not measured is None,
and `Record.notes` says why under the figure's own name ("memory.allocator_peak_bytes").
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

SCHEMA: Literal[2] = 2
Kind = Literal["step", "unlearning"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True)


class Case(_Strict):
    """What was run. `scenario` is None for step cases; sizes in pixels and samples."""

    method: str
    model: str
    dataset: str
    image_size: int
    batch_size: int
    device: str
    dtype: Literal["float32"] = "float32"
    threads: int
    seed: int
    scenario: str | None = None

    @property
    def id(self) -> str:
        """The readable name of the case: resnet18-b8-zo-ga, cnn-class:3-zo-ga-seed0; the device if not the CPU."""
        where = [] if self.device == "cpu" else [self.device]
        if self.scenario is None:
            return "-".join([self.model, f"b{self.batch_size}", self.method, *where])
        return "-".join([self.model, self.scenario, self.method, f"seed{self.seed}", *where])


class StepTime(_Strict):
    """Medians over `rounds`, in seconds.

    `times_two_forwards` is the median of the paired ratios; `_q1` and `_q3` are their quartiles.
    """

    step_s: float
    forward_s: float
    times_two_forwards: float
    times_two_forwards_q1: float
    times_two_forwards_q3: float
    rounds: int


class Memory(_Strict):
    """The three ledgers of peak memory, in bytes; categories are the tensor ledger's composition at its peak."""

    tensor_peak_bytes: int | None = None
    tensor_by_category: dict[str, int] | None = None
    allocator_peak_bytes: int | None = None
    process_peak_bytes: int | None = None


class StepEnergy(_Strict):
    """Energy of one step: joules, grams of CO2 equivalent, from a window of `window_s` seconds over `steps` steps."""

    joules_per_step: float | None = None
    co2e_g_per_step: float | None = None
    window_s: float
    steps: int
    basis: Literal["measured", "estimated"]
    backend: str
    country: str


class Quality(_Strict):
    """Percentages at completion; `tow` is in [0, 1]. For a class scenario `ta` leaves the class out."""

    ua: float
    ra: float
    ta: float
    mia: float | None = None
    tow: float | None = None


class Completion(_Strict):
    """What it took to reach T*: optimizer steps, seconds, joules, forward-equivalents (forward 1, backward 2)."""

    reached: bool
    step: int | None = None
    seconds: float | None = None
    joules: float | None = None
    forward_equivalents: float | None = None


class Curve(_Strict):
    """The run, evaluation by evaluation: losses in nats, accuracies in percent, distance in the L2 norm.

    A value is None where it was not finite.
    """

    step: list[int]
    forget_loss: list[float | None]
    retain_loss: list[float | None]
    test_loss: list[float | None]
    forget_accuracy: list[float | None]
    retain_accuracy: list[float | None]
    test_accuracy: list[float | None]
    distance: list[float | None]

    @model_validator(mode="after")
    def _equally_long(self) -> "Curve":
        if len({len(column) for _, column in self}) != 1:
            raise ValueError("the columns of a curve must be equally long")
        return self


class Record(_Strict):
    """One case: what was run, how it ended, what was measured."""

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    kind: Kind
    outcome: Literal["ok", "diverged", "out-of-memory"]
    case: Case
    model_bytes: int
    time: StepTime | None = None
    memory: Memory = Memory()
    energy: StepEnergy | None = None
    quality: Quality | None = None
    completion: Completion | None = None
    curve: Curve | None = None
    notes: dict[str, str] = {}

    @model_validator(mode="after")
    def _has_its_scenario(self) -> "Record":
        if (self.kind == "unlearning") != (self.case.scenario is not None):
            raise ValueError("an unlearning record has a scenario, a step record has none")
        return self


class Machine(_Strict):
    """What makes two figures comparable."""

    processor: str
    cores: int
    memory_bytes: int
    accelerator: str | None
    system: str
    python: str
    versions: dict[str, str]


class Run(_Strict):
    """Where a benchmark JSON came from. `fingerprint` joins profile, data, code and machine."""

    schema_version: Literal[2] = Field(default=SCHEMA, alias="schema")
    profile: str
    command: str
    started: str
    commit: str | None
    dirty: bool | None
    machine: Machine
    fingerprint: str
