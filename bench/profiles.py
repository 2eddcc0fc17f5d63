"""What to run: a TOML file under `profiles/` as a pydantic model, and the cases that follow from it."""

import tomllib
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bench.base.paths import PROFILES
from bench.record import TWO_FORWARDS, Case, Dtype, Engine, ErasureBar, PeakBar, Rules, StepBar, Tail, as_list

T = TypeVar("T")

MOST_THREADS = 1024
SHARED = (  # by the unlearning tables of a setting, whatever they run on
    *("weights", "retrained", "retrain", "training", "target_accuracy", "train_mode"),
    *("retain_evaluated", "followed_on", "resolution", "horizon"),
)

Positive = Annotated[int, Field(gt=0)]
Seconds = Annotated[float, Field(gt=0)]
Pixels = Annotated[int, Field(gt=0, le=4096)]


def _all_different(values: list[T]) -> list[T]:
    twice = [value for value in values if values.count(value) > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} stands there more than once")
    return values


def _ascending(values: list[int]) -> list[int]:
    if sorted(set(values)) != values:
        raise ValueError("they must ascend")
    return values


def _some_of_each(value: Any) -> int | tuple[int, int]:
    numbers = list(value) if isinstance(value, list | tuple) else [0, value]
    if len(numbers) != 2 or any(type(number) is not int for number in numbers) or not 0 <= numbers[0] < numbers[1]:
        raise ValueError("give a number of samples, or [FROM, TO], two places counted from 0, the lower one first")
    return (numbers[0], numbers[1]) if isinstance(value, list | tuple) else numbers[1]


Distinct = AfterValidator(_all_different)
Names = Annotated[list[str], Field(min_length=1), Distinct]
BatchSizes = Annotated[list[Positive], Field(min_length=1), Distinct]
Some = Annotated[int | tuple[int, int], BeforeValidator(_some_of_each)]
Caps = Annotated[list[Positive], AfterValidator(_ascending)]
Tails = Annotated[list[Tail], Field(min_length=1), Distinct]
Seeds = Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1), Distinct]


class ProfileError(ValueError):
    """A profile that cannot be used; the message is one line and names the way out."""


class _Table(BaseModel):
    """A table of the TOML file; what stands under a field describes its key in profiles/README.md."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class Training(_Table):
    """How the original and the retrained model are trained: SGD, its rate in one cycle (Smith and Topin 2019)."""

    epochs: Positive
    """passes over the training data"""
    batch_size: Annotated[int, Field(ge=2)]  # batch norm needs two
    """samples a step, two or more"""
    lr: Annotated[float, Field(gt=0)]
    """the highest learning rate of the cycle"""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """of SGD"""
    nesterov: bool = False
    """have the momentum look ahead"""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """of SGD"""
    decay: Literal["all", "weights"] = "all"
    """what weight decay holds: all parameters, or `weights`, those of two dimensions or more, not norms and biases"""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """share of a label that is spread over all classes"""
    flip: bool = False
    """mirror each image with a chance of a half"""
    crop: Annotated[int, Field(ge=0)] = 0
    """shift each image by up to so many pixels each way, the edge mirrored"""
    channels_last: bool = False
    """lay images and weights out in memory with the channels last, which is faster on most processors"""
    dtype: Dtype | None = None
    """what passes of training run in; what the erasures' do if not given"""

    @model_validator(mode="after")
    def _has_momentum(self) -> "Training":
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov looks ahead by the momentum: give it one, or leave nesterov out")
        return self


Channel = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=1, max_length=4)]
Spread = Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1, max_length=4)]


class Preprocessing(_Table):
    """What becomes of an image before the network sees it, as torchvision's transforms do it; by default it is scaled
    until its centre square is as large as `image_size` says, and standardized by the mean and spread of the training
    images.
    """

    resize: Pixels | Annotated[list[Pixels], Field(min_length=2, max_length=2)] | None = None
    """pixels of the shorter side, or `[height, width]`, before the centre square of `image_size` is cut out; as large
    as that square if not given"""
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    """how pixels are resized, antialiased"""
    mean: Channel | None = None
    """of each channel, in [0, 1]; that of the training images if not given"""
    std: Spread | None = None
    """of each channel, in the same units; goes with `mean`"""
    transforms: Literal["weights"] | None = None
    """take all of these from torchvision's weights that `[unlearning]` names; `image_size` must be theirs"""
    background: Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=3, max_length=3)] = [
        255,
        255,
        255,
    ]
    """red, green and blue that transparent pixels are laid on"""
    classes: Annotated[list[str], Distinct] | None = None
    """names of the classes in the order of the model's outputs; that of the data, for folders the alphabet's, if not
    given"""
    skip_unreadable: bool = False
    """go on without images that cannot be read; they are named in the JSON"""

    @model_validator(mode="after")
    def _says_each_once(self) -> "Preprocessing":
        if (self.mean is None) != (self.std is None) or len(self.mean or ()) != len(self.std or ()):
            raise ValueError("give mean and std together, a number for each channel in both")
        given = {"resize", "interpolation", "mean", "std"} & self.model_fields_set
        if self.transforms is not None and given:
            raise ValueError(f"transforms says it, too: leave {sorted(given)[0]} out, or transforms")
        return self


class StepPlan(_Table):
    """Step-cost cases: every method on every model at every batch size. A profile may have several."""

    models: Names
    """names of networks"""
    image_size: Pixels
    """height and width of the images, in pixels"""
    batch_sizes: BatchSizes
    """samples a step"""
    methods: Names
    """names of arms"""
    dtype: Dtype = "float32"
    """what passes run in; below float32 by torch's autocast, the parameters stay float32"""
    engine: Engine = "torch"
    """what runs the network: `torch`, or `onnxruntime`, where steps are taken in numpy and nothing is differentiated"""
    whole_life: bool = False
    """count the peak of a process from its first instruction on, too, importing torch included, which takes seconds"""
    memory_caps: Caps = []
    """limits in MiB, ascending, that the operating system holds a process to while it takes steps: who gets through is
    recorded"""


class Tuned(_Table):
    """What an arm is run with, under its name."""

    lr: Annotated[float, Field(ge=0)]
    """learning rate"""
    eps: Annotated[float, Field(gt=0)] = 1e-3
    """size of the perturbation, for a zeroth-order arm"""
    batch_size: Positive | None = None
    """samples a step, where `batch_sizes` is `"tuned"`"""
    tail: Tail = "all"
    """how much of the network it moves, counted from the output: the last layer, with the block before it (`block`), or
    with the last quarter of the blocks (`stage`), or all"""


class UnlearningPlan(_Table):
    """Whole runs: every method on every scenario with every seed at every batch size. A profile may have several."""

    model: str
    """the network"""
    dataset: str | None = None
    """used instead of the profile's"""
    image_size: Pixels
    """height and width of the images, in pixels"""
    batch_sizes: BatchSizes | Literal["tuned"]
    """samples a step; `"tuned"`: each arm has its own, as its hyperparameters say, and Retrain that of `training`"""
    scenarios: Names
    """what is to be forgotten: `class:K` (a name or an index), `random:F` (a share), `random:N` (so many samples) or
    `files:LIST` (a text file with a path a line, or a CSV file with a column `path`)"""
    methods: Names
    """names of arms"""
    seeds: Seeds
    """of training, of the random forget set and of the arm"""
    horizon: Annotated[float, Field(ge=0)]
    """how long a run goes on after completion, in multiples of T*"""
    max_steps: Positive
    """a run gives up here if it has not completed"""
    resolution: Annotated[float, Field(gt=1, le=2)] = 1.05
    """a run is evaluated at every step up to 1 / (`resolution` - 1), then at steps each `resolution` times the last;
    just after T* at least every 0.02 T*"""
    retain_evaluated: Positive | None = None
    """how many samples of the retain set an evaluation looks at, the same for all arms of a seed; all if not given"""
    followed_on: Positive | None = None
    """how many samples of each of forget, retain and test set an evaluation along the way looks at, the same for all
    arms of a seed, by which T* is found; from T* on, of the retain set as many as in the end; as many as in the end of
    all if not given"""
    train_mode: bool = False
    """have the model in train mode, with dropout and moving batch norm; dropout draws by the case's seed"""
    dtype: Dtype = "float32"
    """what passes run in; below float32 by torch's autocast, the parameters stay float32"""
    engine: Engine = "torch"
    """what runs the network while it forgets: `torch`, or `onnxruntime`; torch trains it and looks at it in any case"""
    weights: str | None = None
    """the original's, instead of training it: FILE.safetensors, a state dict (`.pt`), or torchvision's by name"""
    retrained: str | None = None
    """Retrain's, likewise, instead of training it"""
    retrain: bool = True
    """`false`: there is no Retrain; what is measured against it, such as ToW, is left out"""
    target_accuracy: Annotated[float, Field(ge=0, le=100)] | Literal["test"] | None = None
    """forget accuracy in percent at which an erasure is complete, or `test`, the original's on test data; if not given,
    chance for a class, and Retrain's for anything else, or chance where there is no Retrain"""
    training: Training | None = None
    """how the original and Retrain are trained; not needed where neither is"""
    hyperparameters: dict[str, Tuned] = {}
    """what each arm is run with"""

    @property
    def trains_retrain(self) -> bool:
        """Whether Retrain is trained by the suite."""
        return self.retrain and self.retrained is None

    def batch_sizes_of(self, method: str) -> list[int]:
        """What the arm is run with; nothing where its batch size is yet to be found."""
        if self.batch_sizes != "tuned":
            return self.batch_sizes
        own = self.training if method == "retrain" else self.hyperparameters.get(method)
        return [] if own is None or own.batch_size is None else [own.batch_size]

    def check_batch_sizes(self) -> None:
        """Raise ValueError if an arm has a batch size of its own that would not be used."""
        own = next((arm for arm, tuned in self.hyperparameters.items() if tuned.batch_size is not None), None)
        if own is not None and self.batch_sizes != "tuned":
            raise ValueError(
                f'unlearning: {own} has a batch_size of its own, which takes batch_sizes = "tuned": say that, or leave '
                "it out"
            )

    def check_models(self) -> None:
        """Raise ValueError unless it is said where the original and Retrain come from."""
        if self.training is not None and self.training.crop >= self.image_size:
            raise ValueError(f"unlearning.training: crop = {self.training.crop} is no less than image_size: take less")
        if self.training is None and (self.weights is None or self.trains_retrain):
            missing = "the original" if self.weights is None else "Retrain"
            ways = "weights = FILE" if self.weights is None else "retrained = FILE, or retrain = false"
            raise ValueError(f"unlearning: {missing} is to be trained: add [unlearning.training], or {ways}")
        if self.retrained is not None and not self.retrain:
            raise ValueError("unlearning: retrain = false says that there is no Retrain: leave it or retrained out")
        if "retrain" in self.methods and not self.trains_retrain:
            raise ValueError(
                "unlearning: the arm retrain trains Retrain: leave it out, or retrained and retrain = false"
            )


class TuningPlan(_Table):
    """Where `python -m bench.tune` looks: every learning rate for every arm, every `eps` for zeroth-order ones, with
    every batch size and on every tail.
    """

    seeds: Seeds
    """for tuning alone: no result may use them"""
    learning_rates: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1), Distinct]
    """the grid"""
    eps: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1), Distinct] = [1e-3]
    """the grid of perturbations"""
    batch_sizes: BatchSizes | None = None
    """the grid of samples a step, for every arm; goes with `batch_sizes = "tuned"` in `[unlearning]`"""
    tails: Tails = ["all"]
    """the grid of tails, for every arm that can move them"""
    arm_tails: dict[str, Tails] = {}
    """the grid of tails of single arms, in the place of `tails`"""
    train_per_class: Some | None = None
    """take only so many training samples of each class, in the place of the profile's, so that no search sees the
    others"""
    test_per_class: Some | None = None
    """likewise, of the test samples"""

    def tails_of(self, arm: str) -> list[Tail]:
        """Those that the arm is to be tried on."""
        return self.arm_tails.get(arm, self.tails)


class Profile(_Table):
    """One profile."""

    name: str = ""
    """the file's name, if not given"""
    description: str
    """in a line, for the console and the report"""
    dataset: str
    """the data set, such as `digits` or `imagefolder:PATH`"""
    test_fraction: Annotated[float, Field(gt=0, lt=1)] | None = None
    """the share of an image folder without `test/` that is held out"""
    train_per_class: Some | None = None
    """take only the first so many training samples of each class; or `[FROM, TO]`, those from one place up to another,
    counted from 0"""
    test_per_class: Some | None = None
    """take only so many test samples of each class, likewise"""
    data: Preprocessing = Preprocessing()
    """what becomes of images"""
    devices: Annotated[list[Literal["cpu", "cuda", "mps", "xpu"]], Field(min_length=1), Distinct]
    """where to run; a device that is not there is skipped, visibly"""
    threads: Annotated[int, Field(gt=0, le=MOST_THREADS)]
    """CPU threads"""
    country: str
    """whose grid the emissions are computed for: an ISO 3166 alpha-3 code"""
    window_s: Seconds
    """the least length of an energy window, in seconds"""
    timing_s: Seconds = 3.0
    """about how long a step is timed, in seconds"""
    min_rounds: Annotated[int, Field(ge=3)] = 5
    """the least number of rounds that a step is timed for"""
    step: Annotated[list[StepPlan], BeforeValidator(as_list)] = []
    """what a step costs"""
    unlearning: Annotated[list[UnlearningPlan], BeforeValidator(as_list)] = []
    """what unlearning does"""
    tuning: TuningPlan | None = None
    """where learning rates are searched for"""
    rules: Rules = Rules()
    """what makes a verdict, said in advance"""
    tuned_by: str | None = None
    """the profile whose search found the learning rates, if that is not this one"""

    @model_validator(mode="after")
    def _runs_something(self) -> "Profile":
        if not self.step and not self.unlearning:
            raise ValueError("the profile runs nothing; add a [step] or an [unlearning] table")
        _all_different([case.id for case in self.step_cases()])
        _all_different([case.id for case in self.unlearning_cases()])
        return self

    @model_validator(mode="after")
    def _runs_engines_as_they_are(self) -> "Profile":
        plans: list[StepPlan | UnlearningPlan] = [*self.step, *self.unlearning]
        for plan in plans:
            if plan.engine == "torch":
                continue
            if plan.dtype != "float32":
                raise ValueError(f"{plan.engine} has weights and passes in float32: leave dtype out of its table")
            if isinstance(plan, UnlearningPlan) and plan.train_mode:
                raise ValueError(f"{plan.engine} runs networks in eval mode: leave train_mode out of its table")
            if self.devices != ["cpu"]:
                raise ValueError(f'{plan.engine} runs on the CPU here: write devices = ["cpu"]')
        return self

    @model_validator(mode="after")
    def _times_what_has_a_bar(self) -> "Profile":
        timed = {(case.network, case.method, case.batch_size) for case in self.step_cases()}
        for bar in self.rules.step_time:
            named = [bar.method] if bar.over == TWO_FORWARDS else [bar.method, bar.over]
            for method, batch_size in product(named, bar.batch_sizes):
                if (bar.model, method, batch_size) not in timed:
                    missing = f"{bar.model}, {method}, batch {batch_size}"
                    raise ValueError(f"rules.step_time names a step that the profile does not time: {missing}")
        return self

    @model_validator(mode="after")
    def _weighs_what_has_a_bar(self) -> "Profile":
        weighed = {(case.model, case.method, case.engine, case.batch_size) for case in self.step_cases()}
        for bar in self.rules.process_peak:
            named = [(bar.method, "onnxruntime"), *([(bar.over, bar.over_engine)] if bar.over else [])]
            for (method, engine), batch_size in product(named, bar.batch_sizes):
                if (bar.model, method, engine, batch_size) not in weighed:
                    missing = f"{bar.model}, {method} on {engine}, batch {batch_size}"
                    raise ValueError(f"rules.process_peak names a step that the profile does not run: {missing}")
        return self

    @model_validator(mode="after")
    def _erases_what_has_a_bar(self) -> "Profile":
        together = [set(plan.methods) for plan in self.unlearning]
        for bar in self.rules.erasure_cost:
            if not any({bar.method, bar.over} <= arms for arms in together):
                raise ValueError(f"rules.erasure_cost: no unlearning table has both {bar.method} and {bar.over}")
        return self

    @model_validator(mode="after")
    def _has_its_models(self) -> "Profile":
        for plan in self.unlearning:
            plan.check_models()
        return self

    @model_validator(mode="after")
    def _has_batch_sizes_where_they_are_used(self) -> "Profile":
        for plan in self.unlearning:
            plan.check_batch_sizes()
        tuned = any(plan.batch_sizes == "tuned" for plan in self.unlearning)
        if self.tuning is not None and tuned != (self.tuning.batch_sizes is not None):
            raise ValueError(
                'unlearning: batch_sizes = "tuned" needs the batch_sizes to try: add them to [tuning]'
                if tuned
                else 'tuning: batch_sizes are for arms with batch sizes of their own: say batch_sizes = "tuned" in '
                "[unlearning], or leave them out"
            )
        return self

    @model_validator(mode="after")
    def _has_one_request_a_setting(self) -> "Profile":
        """Arms, seeds and engines of a setting are compared, so they start from the same model to the same end, and are
        looked at alike.
        """
        plans: dict[str | None, UnlearningPlan] = {}
        for plan in self.unlearning:
            for case in self._cases_of(plan):
                first = plans.setdefault(case.model_copy(update={"engine": "torch"}).setting, plan)
                other = next((name for name in SHARED if getattr(plan, name) != getattr(first, name)), None)
                if other is not None:
                    raise ValueError(f"unlearning: two tables of {case.setting} differ in {other}: make two profiles")
        return self

    @model_validator(mode="after")
    def _tunes_on_other_seeds(self) -> "Profile":
        used = {seed for plan in self.unlearning for seed in plan.seeds}
        both = sorted(used & set(self.tuning.seeds)) if self.tuning is not None else []
        if both:
            raise ValueError(f"seed {both[0]} is for tuning and for results; take another for [tuning]")
        return self

    def step_plan_of(self, case: Case) -> StepPlan:
        """The plan that a step case follows from."""
        return next(plan for plan in self.step if case in self._step_cases_of(plan))

    def step_cases(self) -> list[Case]:
        """The cases of `bench/test_step_cost.py`."""
        return [case for plan in self.step for case in self._step_cases_of(plan)]

    def unlearning_cases(self) -> list[Case]:
        """The cases of `bench/test_unlearning.py`; of an arm whose batch size is yet to be found there are none."""
        return [case for plan in self.unlearning for case in self._cases_of(plan)]

    def plan_of(self, case: Case) -> UnlearningPlan:
        """The plan that an unlearning case follows from; a pilot case of the first plan with its setting."""
        plans = [plan for plan in self.unlearning if self._has_setting(plan, case)]
        return next((plan for plan in plans if case.method in plan.methods and case.seed in plan.seeds), plans[0])

    def _has_setting(self, plan: UnlearningPlan, case: Case) -> bool:
        of_plan = plan.model, plan.dataset or self.dataset, plan.image_size, plan.dtype, plan.engine
        same = of_plan == (case.model, case.dataset, case.image_size, case.dtype, case.engine)
        batch = case.batch_tuned if plan.batch_sizes == "tuned" else case.batch_size in plan.batch_sizes
        return same and batch and case.scenario in plan.scenarios

    def pilot_cases(self, plan: UnlearningPlan, tuning: TuningPlan) -> list[Case]:
        """What a plan's learning rates are tried on: its erasures with the seeds for tuning, on the first device; where
        batch sizes are tried, too, with the first of them.
        """
        pilot = self.model_copy(update={"devices": self.devices[:1]})
        tuned = plan.batch_sizes == "tuned"
        sizes = (tuning.batch_sizes or [])[:1] if tuned else plan.batch_sizes
        fixed = plan.model_copy(update={"seeds": tuning.seeds, "methods": ["retrain"], "batch_sizes": sizes})
        return [case.model_copy(update={"batch_tuned": tuned}) for case in pilot._cases_of(fixed)]

    def _step_cases_of(self, plan: StepPlan) -> list[Case]:
        return [
            Case(
                method=method,
                model=model,
                dataset=self.dataset,
                image_size=plan.image_size,
                batch_size=batch_size,
                device=device,
                dtype=plan.dtype,
                engine=plan.engine,
                threads=self.threads,
                seed=0,
            )
            for device in self.devices
            for model in plan.models
            for batch_size in plan.batch_sizes
            for method in plan.methods
        ]

    def _cases_of(self, plan: UnlearningPlan) -> list[Case]:
        return [
            Case(
                method=method,
                model=plan.model,
                dataset=plan.dataset or self.dataset,
                image_size=plan.image_size,
                batch_size=batch_size,
                batch_tuned=plan.batch_sizes == "tuned",
                device=device,
                dtype=plan.dtype,
                engine=plan.engine,
                threads=self.threads,
                seed=seed,
                scenario=scenario,
            )
            for device in self.devices
            for scenario in plan.scenarios
            for method in plan.methods
            for batch_size in plan.batch_sizes_of(method)
            for seed in plan.seeds
        ]


def available_profiles() -> list[str]:
    """Names of the profiles that come with the suite."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def profile_path(name_or_path: str) -> Path:
    """The file of a profile, given by its name under `profiles/` or as a `.toml` file."""
    return Path(name_or_path) if name_or_path.endswith(".toml") else PROFILES / f"{name_or_path}.toml"


def read_profile(name_or_path: str) -> str:
    """The text of a profile's file, without a byte order mark; raises OSError and UnicodeDecodeError."""
    return profile_path(name_or_path).read_text(encoding="utf-8-sig")


def load_profile(name_or_path: str) -> Profile:
    """Read a profile by its name under `profiles/`, or from a `.toml` file of the user's.

    Raises:
        ProfileError: there is no such profile, it is not TOML, or it has a wrong or misspelled entry.
    """
    path = profile_path(name_or_path)
    try:
        table = tomllib.loads(read_profile(name_or_path))
        return Profile.model_validate({"name": path.stem, **table})
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        choices = ", ".join(available_profiles())
        raise ProfileError(f"no profile {name_or_path!r}; choose from: {choices}, or give a FILE.toml") from None
    except OSError as error:
        raise ProfileError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(f"{path.name}: not TOML: {error}") from None
    except ValidationError as error:
        raise ProfileError(f"{path.name}: {_first_problem(error)}") from None


def _first_problem(error: ValidationError) -> str:
    """The first finding in one line; before all others a key that does not exist, with the keys that do."""
    finding = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    where = [str(part) for part in finding["loc"]]
    if finding["type"] != "extra_forbidden":
        return f"{'.'.join(where) or 'profile'}: {finding['msg'].removeprefix('Value error, ')}"
    keys = ", ".join(sorted(_table_at([part for part in finding["loc"][:-1] if isinstance(part, str)]).model_fields))
    return f"unknown key {'.'.join(where)!r}; choose from: {keys}"


def _table_at(path: list[str]) -> type[BaseModel]:
    tables: dict[tuple[str, ...], type[BaseModel]] = {
        (): Profile,
        ("step",): StepPlan,
        ("unlearning",): UnlearningPlan,
        ("unlearning", "training"): Training,
        ("data",): Preprocessing,
        ("tuning",): TuningPlan,
        ("rules",): Rules,
        ("rules", "step_time"): StepBar,
        ("rules", "erasure_cost"): ErasureBar,
        ("rules", "process_peak"): PeakBar,
    }
    return Tuned if path[1:2] == ["hyperparameters"] else tables[tuple(path)]
