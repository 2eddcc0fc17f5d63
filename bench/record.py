"""What a benchmark JSON holds: one `Record` a case, and the `Run` they came from.

The only module of the suite that the reports import; it needs pydantic alone. A figure that was not measured is None,
and `Record.notes` says why under the figure's own name ("memory.allocator_peak_bytes").
"""

import json
import re
import shlex
import tomllib
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainSerializer,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

SCHEMA: Literal[10] = 10
Dtype = Literal["float32", "bfloat16", "float16"]
Kind = Literal["step", "unlearning"]
Basis = Literal["measured", "estimated"]
Boundary = Literal["process", "machine"]
Engine = Literal["torch", "onnxruntime"]
Tail = Literal["all", "stage", "block", "layer"]
WIDE_SPREAD = 0.1
TWO_FORWARDS = "two forwards"
RELEARNING_STEPS = (0, 1, 2, 4, 8, 16, 32)  # of fine-tuning, after which accuracy on the forgotten is looked at
SHOTS = 20  # samples a class, of the probe that points of a search are held against
CLOSE = 0.02  # of ToW: points of a search that come so near each other are taken for as good
DEPTH_MARGIN = 3.0  # points that it may find more than after ascent on the whole network
COLLAPSE_POINTS = 5.0  # of retain accuracy, under its value at T*
JOURNAL = "journal.jsonl"  # of a run that goes on, or was broken off, beside its JSON
LONGEST_NAME = 200  # bytes; file systems take 255, hash and suffix among them
UNTIMED = "untimed"  # where the JSON has cases without a time, which no reader of pytest-benchmark's format expects


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, serialize_by_alias=True)


class Case(_Strict):
    """What was run. `scenario` is None for step cases; sizes in pixels and samples. Parameters are float32 in any case;
    with another `dtype` the passes run under torch's autocast to it. With `batch_tuned` the batch size is what tuning
    found for the arm, and arms of other batch sizes are compared with it. With another `engine` than torch the passes
    run there, and steps are taken in numpy.
    """

    method: str
    model: str
    dataset: str
    image_size: int
    batch_size: int
    batch_tuned: bool = False
    device: str
    dtype: Dtype = "float32"
    engine: Engine = "torch"
    threads: int
    seed: int
    scenario: str | None = None

    @property
    def id(self) -> str:
        """The readable name of the case: resnet18-b8-zo-ga, cnn-digits-b32-class:3-zo-ga-seed0; dtype, device and
        engine where they are not float32, the CPU and torch.
        """
        return "-".join(self._words())

    @property
    def label(self) -> str:
        """The same for a sentence: resnet18 b8 zo-ga."""
        return " ".join(self._words())

    def _words(self) -> list[str]:
        usual = ((self.dtype, "float32"), (self.device, "cpu"), (self.engine, "torch"))
        where = [word for word, often in usual if word != often]
        if self.scenario is None:
            return [self.model, f"b{self.batch_size}", self.method, *where]
        batch = f"b{self.batch_size}"
        return [self.model, self.dataset_kind, batch, self.scenario, self.method, f"seed{self.seed}", *where]

    @property
    def network(self) -> str:
        """The model, and what its passes run in, or on, where that is not float32 on torch: resnet18 bfloat16."""
        words = [self.model, *([self.dtype] if self.dtype != "float32" else [])]
        return " ".join([*words, *([self.engine] if self.engine != "torch" else [])])

    @property
    def setting(self) -> str | None:
        """What an unlearning case has in common with those it is compared with; None for a step."""
        if self.scenario is None:
            return None
        batch = "own batch" if self.batch_tuned else f"b{self.batch_size}"
        return f"{self.network} {self.dataset_kind} {batch} {self.scenario}"

    @property
    def dataset_kind(self) -> str:
        """The name of the dataset without what stands behind its colon: imagefolder."""
        return self.dataset.partition(":")[0]


def model_file(case: Case) -> str:
    """The name of the file that `--save-models` writes the case's model to; no two cases have the same.

    A hash stands for what a name cannot hold: marks that files are not called by, and more than file systems take.
    """
    name = re.sub(r"[^\w.-]", "_", case.id)
    if name != case.id.replace(":", "_", 1) or len(name.encode()) > LONGEST_NAME:
        begins = name.encode()[:LONGEST_NAME].decode(errors="ignore")
        name = f"{begins}-{sha256(case.id.encode()).hexdigest()[:16]}"
    return f"{name}.safetensors"


class StepTime(_Strict):
    """Medians over `rounds`, in seconds.

    `times_two_forwards` is the median of the paired ratios; `_q1` and `_q3` are their quartiles.
    """

    step_s: NonNegativeFloat
    forward_s: NonNegativeFloat
    times_two_forwards: NonNegativeFloat
    times_two_forwards_q1: NonNegativeFloat
    times_two_forwards_q3: NonNegativeFloat
    rounds: NonNegativeInt

    @property
    def spread(self) -> float:
        """The distance of the quartiles as a share of the median; above `WIDE_SPREAD` it is told."""
        return (self.times_two_forwards_q3 - self.times_two_forwards_q1) / self.times_two_forwards


class Memory(_Strict):
    """The three ledgers of peak memory, in bytes.

    Attributes:
        tensor_peak_bytes: live tensors, exact; `tensor_by_category` is what they were at the peak.
        tensor_basis: "measured", or "forecast" without anything being allocated.
        allocator_peak_bytes: what torch's allocator handed out, kernel scratch included.
        allocator_basis: "peak", or "sampled" after every operation where torch keeps no peak (MPS).
        process_peak_bytes: what the operating system saw of a process that does nothing else.
        process_start_bytes: what it saw of that process before it made the model: Python and torch, or the engine.
        process_life_bytes: the same peak of a process from its first instruction on, importing torch or the engine
            included, as a device that does nothing else would see it; torch's `process_peak_bytes` is of a process
            that comes into being with torch imported, and has in memory what it needs of that.
    """

    tensor_peak_bytes: NonNegativeInt | None = None
    tensor_by_category: dict[str, NonNegativeInt] | None = None
    tensor_basis: Literal["measured", "forecast"] = "measured"
    allocator_peak_bytes: NonNegativeInt | None = None
    allocator_basis: Literal["peak", "sampled"] = "peak"
    process_peak_bytes: NonNegativeInt | None = None
    process_start_bytes: NonNegativeInt | None = None
    process_life_bytes: NonNegativeInt | None = None


class Cap(_Strict):
    """Whether a process that does nothing but the case's steps got through them with so much memory and no more.

    Attributes:
        limit_bytes: the limit, which the operating system enforced.
        completed: whether it got through; else it was killed, or its allocations failed.
        basis: what enforced it: "cgroup" (memory that is resident, what other processes share of it included), or
            "RLIMIT_DATA" (private memory that may be written to, resident or not).
    """

    limit_bytes: PositiveInt
    completed: bool
    basis: Literal["cgroup", "RLIMIT_DATA"]


class EnergyShare(_Strict):
    """The part of one kind of hardware: joules of one step, whether a counter measured them, and whose they are."""

    joules_per_step: NonNegativeFloat
    basis: Basis
    boundary: Boundary


class StepEnergy(_Strict):
    """Energy of one step: joules, grams of CO2 equivalent, from a window of `window_s` seconds over `steps` steps.

    The total is "measured" if a hardware counter measured the processor's share and the accelerator's, where there is
    one. The memory's share is a table value in any case.
    """

    joules_per_step: NonNegativeFloat | None = None
    co2e_g_per_step: NonNegativeFloat | None = None
    window_s: NonNegativeFloat
    steps: NonNegativeInt
    basis: Basis
    cpu: EnergyShare | None = None
    ram: EnergyShare | None = None
    gpu: EnergyShare | None = None
    backend: str
    country: str


class Probe(_Strict):
    """How much of the forgotten the network still knows: accuracy in percent of a ridge regression on the features that
    its last layer sees, fitted to so many training samples of every class; on test data of a forgotten class, or on
    other forgotten samples, which are then not among those.

    Attributes:
        shots: samples a class.
        model, original, retrained: of the unlearned model, and of the two that it lies between; None without a Retrain.
    """

    shots: int
    model: float
    original: float
    retrained: float | None = None


class Relearned(_Strict):
    """How what was forgotten comes back by fine-tuning on so many samples: accuracy in percent after so many steps.

    Attributes:
        shots: samples of every class, where one was forgotten, and the accuracy is that on unseen samples of it; else
            so many of the forgotten samples, and it is that on others of them.
        step: of plain SGD, from 0.
        model, original, retrained: of the unlearned model, and of the two that it lies between; None without a Retrain.
    """

    shots: int
    step: tuple[NonNegativeInt, ...]
    model: tuple[float, ...]
    original: tuple[float, ...]
    retrained: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _equally_long(self) -> "Relearned":
        curves = [self.model, self.original, *([] if self.retrained is None else [self.retrained])]
        if {len(curve) for curve in curves} != {len(self.step)}:
            raise ValueError("curves of relearning must be as long as its steps")
        return self


class Margins(_Strict):
    """How sure models are of forgotten samples, one by one: log(p / (1 - p)) in nats, p being the probability that a
    model gives the sample's label; of the first of the request.

    Attributes:
        model, original, retrained: of the unlearned model, and of the two that it lies between; None without a Retrain.
    """

    model: tuple[float, ...]
    original: tuple[float, ...]
    retrained: tuple[float, ...] | None = None


class Accuracies(_Strict):
    """Accuracies in percent on what is to be forgotten, on what is to be kept, and on test data."""

    forget: float
    retain: float
    test: float


class Quality(_Strict):
    """What the model is worth at completion; Retrain's values are the target.

    Attributes:
        ua, ra: error on the forget set and accuracy on the retain set, in percent.
        ta: accuracy on the test data in percent; for a class scenario without the class.
        ta_forgotten: accuracy on the forgotten class's test data in percent; None for a random scenario.
        mia: percentage of the forget set that membership inference calls non-members.
        mia_auc: area under the curve of telling forget samples from unseen ones of their kind by their loss, in [0, 1];
            0.5 is no better than chance.
        tow: tug-of-war score, in [0, 1].
        depth: what a probe recovers, from few shots to many.
        relearned: how what was forgotten comes back, from few shots to many.
        margins: of forgotten samples; None where a class is forgotten.
    """

    ua: float
    ra: float
    ta: float
    ta_forgotten: float | None = None
    mia: float | None = None
    mia_auc: float | None = None
    tow: float | None = None
    depth: tuple[Probe, ...] | None = None
    relearned: tuple[Relearned, ...] | None = None
    margins: Margins | None = None


class Stability(_Strict):
    """How a run goes on once it is complete: time in multiples of T* after completion, accuracy drops in points.

    Attributes:
        collapse: when retain accuracy was first 5 points under its value at T*, or a loss was not finite; the horizon
            if that never happened, 0 if the model was not 5 points better than chance at T*.
        collapsed: whether it happened.
        loss_slope: slope of the logarithm of the retain loss against steps / T*.
        drop_at_time: retain accuracy lost by the end of a second T*.
        drop_at_distance: retain accuracy lost by the time that the model was `Rules.matched_distance` farther away.
        drop_at_forget_loss: retain accuracy lost by the time that the forget loss was `Rules.matched_rise` higher.
    """

    collapse: float
    collapsed: bool
    loss_slope: float | None = None
    drop_at_time: float | None = None
    drop_at_distance: float | None = None
    drop_at_forget_loss: float | None = None


def as_list(value: Any) -> Any:
    """A single table of a profile, such as `[step]`, is a list of one, as several `[[step]]` are a list."""
    return [value] if isinstance(value, dict) else value


class StepBar(_Strict):
    """A bar for the time of a step, at one batch size after the other; `at_most` or `at_least` is given."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    model: str
    """whose step it is"""
    method: str
    """the arm"""
    over: str
    """what its time is divided by: `two forwards`, timed in turn with it, or another arm"""
    batch_sizes: tuple[PositiveInt, ...] = Field(min_length=1)
    """samples a step"""
    at_most: tuple[PositiveFloat, ...] | None = None
    """the bar at each of `batch_sizes`, from above"""
    at_least: tuple[PositiveFloat, ...] | None = None
    """the bar at each of `batch_sizes`, from below"""

    @model_validator(mode="after")
    def _has_a_bar_at_each_batch_size(self) -> "StepBar":
        given = [bars for bars in (self.at_most, self.at_least) if bars is not None]
        if len(given) != 1 or len(given[0]) != len(self.batch_sizes):
            raise ValueError("give at_most or at_least, with a number for each of batch_sizes")
        return self


class ErasureBar(_Strict):
    """A bar for what an arm's erasures cost, in every setting that has both arms: means over the seeds with which both
    complete, at a ToW not much lower and, where a class is forgotten, at a depth no less: what a probe recovers of it
    is at most `DEPTH_MARGIN` points more.
    """

    model_config = ConfigDict(use_attribute_docstrings=True)

    method: str
    """the arm"""
    over: str
    """the arm that its cost is divided by"""
    sample_forwards: PositiveFloat
    """at most so many times its sample-forwards"""
    joules: PositiveFloat | None = None
    """at most so many times its energy"""
    tow_margin: NonNegativeFloat = 0.02
    """at a ToW at most so much below its own"""


class PeakBar(_Strict):
    """A bar for the peak of an engine's process over its life, in MiB or as a multiple of another arm's."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    model: str
    """the network"""
    method: str
    """the arm, on `onnxruntime`"""
    batch_sizes: tuple[PositiveInt, ...] = Field(min_length=1)
    """samples a step"""
    at_most: tuple[PositiveFloat, ...]
    """the bar at each of `batch_sizes`: MiB, or times `over`'s"""
    over: str | None = None
    """the arm that its peak is divided by; MiB if not given"""
    over_engine: Engine = "onnxruntime"
    """what that one ran on"""

    @model_validator(mode="after")
    def _has_a_bar_at_each_batch_size(self) -> "PeakBar":
        if len(self.at_most) != len(self.batch_sizes):
            raise ValueError("give at_most with a number for each of batch_sizes")
        return self


class Rules(_Strict):
    """What makes a verdict, fixed in the profile before anything is measured."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    memory_ratio: float = Field(default=0.5, gt=0)
    """much less memory is below this share of first-order ascent's"""
    tow_margin: float = Field(default=0.05, ge=0)
    """competitive is a ToW less than this below first-order ascent's"""
    depth_margin: float = Field(default=DEPTH_MARGIN, ge=0)
    """and a probe of 20 samples a class that is less than this many points farther from Retrain's"""
    collapse_margin: float = Field(default=0.1, ge=0)
    """later collapse is by more than this, in multiples of T*; how far evaluations are apart is `resolution`"""
    drop_margin: float = Field(default=1.0, ge=0)
    """less retain accuracy lost is by more than this, in points"""
    matched_distance: float = Field(default=0.1, gt=0)
    """how much farther from the original than at T*, as a share of the norm of its parameters"""
    matched_rise: float = Field(default=5.0, gt=0)
    """how much higher a forget loss than at T*, in nats"""
    step_time: Annotated[tuple[StepBar, ...], BeforeValidator(as_list)] = ()
    """bars for the time of a step"""
    erasure_cost: Annotated[tuple[ErasureBar, ...], BeforeValidator(as_list)] = ()
    """bars for the cost of an erasure"""
    process_peak: Annotated[tuple[PeakBar, ...], BeforeValidator(as_list)] = ()
    """bars for the peak of a process on an engine"""


class Completion(_Strict):
    """What it took to reach T*: optimizer steps, seconds, joules, forward-equivalents (of a batch: forward 1, backward
    2) and sample-forwards, the same counted in samples, by which arms of different batch sizes compare.
    """

    reached: bool
    step: NonNegativeInt | None = None
    seconds: NonNegativeFloat | None = None
    joules: NonNegativeFloat | None = None
    forward_equivalents: NonNegativeFloat | None = None
    sample_forwards: NonNegativeFloat | None = None


class Erased(_Strict):
    """What an erasure was to forget: so many of the training samples, and which.

    Attributes:
        digest: SHA-256 over a line "SHA256  NAME" for each sample, by name, as `sha256sum` prints them; whoever has the
            files can find it again. `Run.requests` has the lines.
        target: the forget accuracy in percent at or below which the erasure is complete.
    """

    samples: int
    of: int
    digest: str
    target: float | None = None


class Sample(_Strict):
    """One sample: its path in the data folder, or its place in data without files, and the SHA-256 of its bytes."""

    name: str
    sha256: str


class ModelFile(_Strict):
    """Weights that the suite did not train: the name of the file, or of torchvision's weights, and its SHA-256."""

    name: str
    sha256: str


class Origins(_Strict):
    """The files that the original and Retrain came from; None where the suite trained them, or there is no Retrain."""

    original: ModelFile | None = None
    retrained: ModelFile | None = None


class Inventory(_Strict):
    """What a data set was found to hold: how many training and test samples of each class, and what was left out.

    Attributes:
        left_out: by reason, the names of files and folders that no sample was made of.
    """

    dataset: str
    train: dict[str, NonNegativeInt]
    test: dict[str, NonNegativeInt]
    left_out: dict[str, tuple[str, ...]] = {}


class Rate(_Strict):
    """What an arm was run with: the learning rate that was tuned for it, or for the arm that it borrows from, the size
    of the perturbation for a zeroth-order one, and how much of the network it moved, counted from the output.
    """

    lr: float
    eps: float | None = None
    tail: Tail = "all"


Brief = Annotated[float, PlainSerializer(lambda value: float(f"{value:.7g}"), when_used="json")]


class Curve(_Strict):
    """The run, evaluation by evaluation: losses in nats, accuracies in percent, distance in the L2 norm.

    A value is None where it was not finite. As JSON each has 7 digits, of which a float32 has as many.
    """

    step: list[NonNegativeInt]
    forget_loss: list[Brief | None]
    retain_loss: list[Brief | None]
    test_loss: list[Brief | None]
    forget_accuracy: list[Brief | None]
    retain_accuracy: list[Brief | None]
    test_accuracy: list[Brief | None]
    distance: list[Brief | None]

    @model_validator(mode="after")
    def _equally_long(self) -> "Curve":
        if len({len(column) for _, column in self}) != 1:
            raise ValueError("the columns of a curve must be equally long")
        return self


class Record(_Strict):
    """One case: what was run, how it ended, what was measured.

    Attributes:
        outcome: "ok"; "diverged", if a loss was not finite, be it after completion; "untrained", if the original or
            Retrain has not learned; "out-of-memory". `notes` says more under the name "outcome".
        diverged_at: the step at which a loss was not finite; None if all were.
        original: what it was right on before.
        origins: the files that the original and Retrain came from.
        receipt_sha256: of the receipt of the steps to completion, as JSON, where they can be taken again without the
            data, in numpy or torch: those of an engine. `--save-models` writes it beside the model.
        caps: memory limits that steps were tried under, in ascending order.
    """

    schema_version: Literal[10] = Field(default=SCHEMA, alias="schema")
    kind: Kind
    outcome: Literal["ok", "diverged", "untrained", "out-of-memory"]
    diverged_at: NonNegativeInt | None = None
    case: Case
    erased: Erased | None = None
    original: Accuracies | None = None
    origins: Origins = Origins()
    rate: Rate | None = None
    model_bytes: NonNegativeInt
    time: StepTime | None = None
    memory: Memory = Memory()
    caps: tuple[Cap, ...] = ()
    energy: StepEnergy | None = None
    quality: Quality | None = None
    completion: Completion | None = None
    stability: Stability | None = None
    curve: Curve | None = None
    receipt_sha256: str | None = None
    notes: dict[str, str] = {}

    @model_validator(mode="after")
    def _has_its_scenario(self) -> "Record":
        if (self.kind == "unlearning") != (self.case.scenario is not None):
            raise ValueError("an unlearning record has a scenario, a step record has none")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the record as JSON: what ties a saved model to it."""
        return sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def ending(self) -> str:
        """How the case ended, in a word or two that cases can be counted by."""
        done = self.completion
        if self.outcome in ("untrained", "out-of-memory"):
            return {"untrained": "not learned", "out-of-memory": "out of memory"}[self.outcome]
        if done is None:
            return "measured"
        if done.step == 0:
            return "nothing to forget"
        if not done.reached:
            return "diverged" if self.outcome == "diverged" else "not completed"
        return "completed then diverged" if self.outcome == "diverged" else "completed"

    @property
    def story(self) -> str:
        """What happened, for the line of the case: "completed at step 15 (ToW 0.94); diverged at step 31"."""
        done, ending = self.completion, self.ending
        if ending in ("not learned", "out of memory"):
            return self.notes["outcome"]
        if done is None or ending == "nothing to forget":
            return ending
        diverged = [] if self.diverged_at is None else [f"diverged at step {self.diverged_at}"]
        if not done.reached:
            within = "" if diverged or self.curve is None else f" in {self.curve.step[-1]} steps"
            return "; ".join([f"not completed{within}", *diverged])
        score = "" if self.quality is None or self.quality.tow is None else f" (ToW {self.quality.tow:.2f})"
        return "; ".join([f"completed at step {done.step}{score}", *diverged])


class Machine(_Strict):
    """What makes two figures comparable.

    Attributes:
        cores: logical ones; `physical_cores` without hyper-threading.
        accelerator, driver: name and driver version; None without one.
        system, libc: kernel and C library, whose malloc the process ledger sees.
        container, virtual_machine: whether it is one; None if that cannot be told.
        rapl: whether the processor's energy counter is there and may be read.
    """

    processor: str
    architecture: str
    cores: int
    physical_cores: int | None = None
    memory_bytes: int
    accelerator: str | None
    driver: str | None = None
    system: str
    libc: str | None = None
    container: bool | None = None
    virtual_machine: bool | None = None
    rapl: Literal["readable", "not readable", "absent"]
    python: str
    versions: dict[str, str]


class TuningCost(_Strict):
    """What an arm's search for a learning rate took: seconds, sample-forwards, joules (None without a meter) and
    how they are known.
    """

    method: str
    seconds: float
    sample_forwards: float
    joules: float | None = None
    basis: Basis | None = None


class Searched(_Strict):
    """A point that the search tried in a setting of the run: means over its pilot runs, whose seeds no result uses.

    Attributes:
        setting: as `Case.setting` has it.
        lr, eps, batch_size, tail: what the arm was tried with; `eps` for a zeroth-order one.
        tow: at completion, in [0, 1]; a run that did not complete counts 0. Without a Retrain, nearness to the
            original.
        depth: what a probe of 20 samples a class finds of a forgotten class then, in percent; None for no class.
        completed, runs: how many of how many got there.
        sample_forwards: of a run, until it was complete or given up.
    """

    setting: str
    method: str
    lr: float
    eps: float | None = None
    batch_size: int
    tail: Tail = "all"
    tow: float
    depth: float | None = None
    completed: int
    runs: int
    sample_forwards: float


class Run(_Strict):
    """Where a benchmark JSON came from. `fingerprint` joins profile, data, code and machine.

    Attributes:
        description: the profile's own words.
        profile_text: the whole profile, as it was read; `command` says what the command line changed.
        tuning: what the search for the arms' learning rates took; empty where the profile came without one.
        searched: what that search found in the settings of the run, point by point.
        data: what the data sets of whole erasures held.
        requests: the samples of each request, by its digest (`Erased.digest`).
    """

    schema_version: Literal[10] = Field(default=SCHEMA, alias="schema")
    profile: str
    description: str = ""
    profile_text: str
    command: str
    started: str
    commit: str | None
    dirty: bool | None
    machine: Machine
    fingerprint: str
    rules: Rules = Rules()
    tuning: tuple[TuningCost, ...] = ()
    searched: tuple[Searched, ...] = ()
    data: tuple[Inventory, ...] = ()
    requests: dict[str, tuple[Sample, ...]] = {}


class UnreadableJsonError(ValueError):
    """A benchmark JSON that cannot be used; the message is one line and says why and what to do."""


def read_benchmark_json(path: Path) -> tuple[Run, list[Record]]:
    """The run and its records from a benchmark JSON of the suite.

    Raises:
        UnreadableJsonError: the file is missing, truncated, from another tool or of another schema, or holds no case.
    """
    content = _content(path)
    try:
        run = Run.model_validate(content["run"])
        tomllib.loads(run.profile_text)
        entries = sorted([*content["benchmarks"], *content[UNTIMED]], key=lambda entry: str(entry["fullname"]))
        records = [Record.model_validate(entry["extra_info"]["record"]) for entry in entries]
    except (ValidationError, KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise UnreadableJsonError(f"{path}: damaged: {first_line(error)}; run the suite again") from None
    twice = next(
        (label for label, count in Counter(record.case.label for record in records).items() if count > 1), None
    )
    if twice is not None:
        raise UnreadableJsonError(f"{path}: damaged: the case {twice!r} is there twice; run the suite again")
    if not records:
        raise UnreadableJsonError(
            f"{path}: it holds no finished case; run the command that made it again, with --resume"
        )
    return run, records


def _content(path: Path) -> dict[str, Any]:
    """The file's JSON, which is the suite's, of this schema."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise UnreadableJsonError(f"{path}: {_way_out_of_missing(path, error)}") from None
    except IsADirectoryError:
        raise UnreadableJsonError(f"{path}: a folder; give the JSON in it") from None
    except OSError as error:
        raise UnreadableJsonError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UnreadableJsonError(
            f"{path}: truncated, or not JSON; run the command that made it again, with --resume"
        ) from None
    if not isinstance(content, dict) or "run" not in content or not isinstance(content.get("benchmarks"), list):
        raise UnreadableJsonError(f"{path}: not from this suite; make one with: pytest bench/ --benchmark-json")
    found = content["run"].get("schema") if isinstance(content["run"], dict) else None
    if found is True or found != SCHEMA:
        readable = f"but this version reads schema {SCHEMA}"
        raise UnreadableJsonError(f"{path}: schema {found}, {readable}; run the suite again")
    return content


def _way_out_of_missing(path: Path, error: OSError) -> str:
    if (path.parent / JOURNAL).exists():
        return (
            f"not there yet, but {JOURNAL} beside it holds finished cases; wait for the run to end, or give the "
            "command that made it again, with --resume"
        )
    return f"{error.strerror}; make one with: pytest bench/ {shlex.quote(f'--benchmark-json={path}')}"


def first_line(error: Exception) -> str:
    """What is wrong with data that do not fit a model, in one line."""
    if isinstance(error, ValidationError):
        finding = error.errors()[0]
        place = "".join(f"{part}." for part in finding["loc"]).removesuffix(".")
        problem = finding["msg"].removeprefix("Value error, ").partition(" or instance of ")[0]
        return f"{place}: {problem}" if place else problem
    if isinstance(error, KeyError):
        return f"no {error}"
    return "an entry is no object" if isinstance(error, TypeError) else str(error).split("\n")[0]
