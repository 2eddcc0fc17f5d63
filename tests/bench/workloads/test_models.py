"""What a network may give and how it is made plain; what is told of one that cannot be used; networks of libraries."""

import copy
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from bench.arms.table import methods
from bench.erasure.erasure import Erasure
from bench.forecast.peak import _run, forecast, with_batch
from bench.instruments.ledgers.process_ledger import RESET, process_ledger
from bench.instruments.ledgers.tensor_ledger import tensor_peak
from bench.instruments.stand_in import StandIn
from bench.record import Case, Dtype
from bench.workloads.models import ImageSpec, build_model, check_model, check_seeded, model_bytes, models
from bench.workloads.models.outputs import ModelError

SPEC = ImageSpec(channels=1, size=8, classes=10)
Register = Callable[..., str]


class Giving(nn.Module):
    """A linear classifier whose logits go through `give` before they are returned."""

    def __init__(self, give: Callable[[Tensor], Any], outputs: int = 10) -> None:
        super().__init__()
        self.give = give
        self.fc = nn.Linear(64, outputs)

    def forward(self, images: Tensor) -> Any:
        return self.give(self.fc(images.flatten(1)))


class Named(NamedTuple):
    loss: Tensor | None
    logits: Tensor


def plain(logits: Tensor) -> Tensor:
    return logits


def under_logits(logits: Tensor) -> dict[str, Tensor]:
    return {"hidden": logits.new_zeros(1), "logits": logits}


def first_of_tuple(logits: Tensor) -> tuple[Tensor, Tensor]:
    return logits, logits.new_zeros(len(logits), 3)


def only_of_list(logits: Tensor) -> list[Tensor]:
    return [logits]


def with_name(logits: Tensor) -> Named:
    return Named(None, logits)


WRAPPED = [plain, under_logits, first_of_tuple, only_of_list, with_name]


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Register:
    """Registers a builder as "mine" for this test."""

    def add(builder: Callable[[ImageSpec], Any]) -> str:
        monkeypatch.setitem(models._entries, "mine", builder)
        monkeypatch.setitem(models._modules, "mine", __name__)
        return "mine"

    return add


def case(model: str, method: str = "zo-ga", dtype: Dtype = "float32") -> Case:
    return Case(
        method=method,
        model=model,
        dataset="none",
        image_size=8,
        batch_size=4,
        device="cpu",
        dtype=dtype,
        threads=1,
        seed=0,
    )


@pytest.mark.parametrize("give", WRAPPED, ids=lambda give: give.__name__)
def test_logits_are_unwrapped(register: Register, give: Callable[[Tensor], Any]) -> None:
    """The very numbers of the layer; also by a copy and from a pickle; the state dict has the user's own keys."""
    name = register(lambda spec: Giving(give))
    check_model(name, SPEC)
    model, images = build_model(name, SPEC, 0), torch.randn(3, 1, 8, 8)
    expected = model.fc(images.flatten(1))
    for one in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(one(images), expected)
    assert list(model.state_dict()) == ["fc.weight", "fc.bias"]


@pytest.mark.parametrize("method", ["forward", "fo-ga", "fo-ga-accumulate", "zo-ga"])
def test_what_is_unwrapped_has_the_memory_of_what_is_plain(register: Register, method: str) -> None:
    """In the ledger and in its forecast; a tuple's other tensors are the model's own and not counted here."""
    peaks = []
    for give in (plain, only_of_list, with_name):
        stand_in = StandIn.of(case(register(lambda spec, give=give: Giving(give)), method), SPEC, None)
        peaks.append(tensor_peak(stand_in.prepare))
        _run.cache_clear()  # it knows the case by its name
        assert forecast(stand_in) == peaks[-1]
    assert peaks[0] == peaks[1] == peaks[2]


@pytest.mark.parametrize("shaped", [plain, lambda z: z.squeeze(1)], ids=["(N, 1)", "(N,)"])
def test_one_logit_counts_as_binary(register: Register, shaped: Callable[[Tensor], Tensor]) -> None:
    spec, targets = ImageSpec(1, 8, 2), torch.tensor([0, 1, 1])
    name = register(lambda spec: Giving(shaped, outputs=1))
    check_model(name, spec)
    model, images = build_model(name, spec, 0), torch.randn(3, 1, 8, 8)
    z = model.fc(images.flatten(1)).squeeze(1)
    loss = F.binary_cross_entropy_with_logits(z, targets.float())
    assert torch.allclose(F.cross_entropy(model(images), targets), loss, atol=1e-6)
    assert torch.equal(model(images).argmax(1), (z > 0).long())


def raising(error: Exception) -> Callable[[Any], Any]:
    def raise_it(_: Any) -> Any:
        raise error

    return raise_it


def of_several_labels(spec: ImageSpec) -> nn.Module:
    model = Giving(plain)
    model.config = type("Config", (), {"problem_type": "multi_label_classification"})()
    return model


@pytest.mark.parametrize(
    ("builder", "words"),
    [
        (lambda spec: Giving(plain, 5), "gives 5 logits for 10 classes: give spec.classes of them"),
        (lambda spec: Giving(plain, 1000), "gives 1,000 logits for 10 classes"),
        (lambda spec: Giving(plain, 1), "one logit, which is for two classes, not for 10"),
        (lambda spec: Giving(lambda z: (z, z)), r"several tensors of shape \(2, 10\): give the logits alone"),
        (lambda spec: Giving(lambda z: {"out": z, "aux": z}), "gives a dict of 'out', 'aux': give a tensor of logits"),
        (lambda spec: Giving(lambda z: None), "gives nothing"),
        (lambda spec: Giving(lambda z: ()), "gives a tuple"),
        (lambda spec: Giving(lambda z: z[:, :, None, None]), r"gives \(2, 10, 1, 1\) for 2 images, where logits are"),
        (lambda spec: Giving(lambda z: z.argmax(1)), "gives a tensor of int64, not floating-point logits"),
        (lambda spec: Giving(lambda z: z / 0), "gives logits that are not finite"),
        (lambda spec: Giving(raising(KeyError("x"))), "model 'mine': KeyError: 'x'"),
        (lambda spec: Giving(lambda z: z[:, None] @ z), r"does not take 8x8 images \(.*mat1.*\); take another image"),
        (lambda spec: Giving(raising(NotImplementedError())), "model 'mine': NotImplementedError$"),
        (lambda spec: Giving(lambda z: z.to_sparse()), "model 'mine': NotImplementedError"),
        (lambda spec: nn.Sequential(nn.Flatten(), nn.LazyLinear(10)), "has lazy layers"),
        (lambda spec: Giving(plain).requires_grad_(False), "has no parameters that could change"),
        (lambda spec: nn.Flatten(), "has no parameters that could change"),
        (lambda spec: 7, "its builder gives a int, not a torch.nn.Module"),
        (raising(TypeError("too many\narguments")), "model 'mine': TypeError: too many"),
        (raising(FileNotFoundError("weights.pt")), "model 'mine': FileNotFoundError: weights.pt"),
        (of_several_labels, "made for several labels a sample; the suite has one label a sample"),
        (lambda spec: Giving(plain).double(), "float64 parameters, where images are float32: build it in float32$"),
        (lambda spec: Giving(plain).half(), r'float32, or give the profile\'s table dtype = "float16"$'),
        (lambda spec: Giving(plain).bfloat16(), r'float32, or give the profile\'s table dtype = "bfloat16"$'),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_told_in_one_line(
    register: Register, builder: Callable[[ImageSpec], Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words) as error:
        check_model(register(builder), SPEC)
    assert str(error.value).startswith("model 'mine'")
    assert "\n" not in str(error.value)


def test_training_gives_logits_too(register: Register) -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(64, 10)

        def forward(self, images: Tensor) -> Any:
            logits = self.fc(images.flatten(1))
            return (logits, 2 * logits) if self.training else logits

    with pytest.raises(ModelError, match="several tensors"):
        check_model(register(lambda spec: TwoHeads()), SPEC)


def test_where_memory_does_not_suffice_the_shapes_are_checked(register: Register) -> None:
    def too_large(spec: ImageSpec) -> nn.Module:
        if torch.get_default_device().type != "meta":
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return Giving(plain, 5)

    with pytest.raises(ModelError, match="gives 5 logits for 10 classes"):
        check_model(register(too_large), SPEC)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("own", [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_passes_run_in_half_precision_over_float32_parameters(
    register: Register, dtype: Dtype, own: torch.dtype
) -> None:
    """As torch's autocast would have it of the float32 network, to the bit; gradients and the update are float32."""
    name = register(lambda spec: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10)).to(own))
    check_model(name, SPEC, dtype)
    model, images = build_model(name, SPEC, 0, dtype), torch.randn(3, 1, 8, 8)
    half: list[torch.dtype] = []
    model[0].register_forward_hook(lambda module, inputs, output: half.append(output.dtype))
    bare = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 10))
    bare.load_state_dict(model.state_dict())
    with torch.autocast("cpu", getattr(torch, dtype)):
        expected = bare(images)
    assert expected.dtype == getattr(torch, dtype)
    for one in (model, copy.deepcopy(model)):
        assert torch.equal(one(images), expected.float())
    assert set(half) == {getattr(torch, dtype)}
    assert not torch.is_autocast_enabled("cpu")
    model(images).sum().backward()
    tensors = [*model.parameters(), *(parameter.grad for parameter in model.parameters())]
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    assert model_bytes(name, SPEC, dtype) == 4 * sum(parameter.numel() for parameter in model.parameters())


def test_autocast_ends_with_a_pass_that_fails(register: Register) -> None:
    model = build_model(register(lambda spec: Giving(raising(ArithmeticError()))), SPEC, 0, "bfloat16")
    with pytest.raises(ArithmeticError):
        model(torch.zeros(1, 1, 8, 8))
    assert not torch.is_autocast_enabled("cpu")


STEPS = [
    name
    for name in methods
    if "step" in methods.get(name).kinds and methods.module(name).startswith("bench.") and name != "zo-ga-prefix"
]  # a forecast knows no prefix that is kept


@pytest.mark.parametrize("method", STEPS)
def test_half_precision_is_forecast_to_the_byte(method: str) -> None:
    peaks = []
    for dtype in ("bfloat16", "float16"):
        stand_in = StandIn.of(case("cnn", method, dtype), SPEC, None)
        peaks.append(tensor_peak(stand_in.prepare))
        assert forecast(stand_in) == peaks[-1]
    assert peaks[0] == peaks[1]
    assert peaks[0].by_category["parameters"] == model_bytes("cnn", SPEC)


@pytest.mark.parametrize("method", ["forward", "fo-ga", "zo-ga"])
def test_half_precision_halves_what_convolutions_give(method: str) -> None:
    """At 32 pixels and batch 16 activations are most of it; the images, and the weights cast, stand beside them."""
    stands = [case("cnn", method, dtype).model_copy(update={"image_size": 32}) for dtype in ("float32", "bfloat16")]
    large = [forecast(with_batch(StandIn.of(one, ImageSpec(1, 32, 10), None), 16)) for one in stands]
    ratio = large[1].by_category["activations"] / large[0].by_category["activations"]
    assert 0.5 < ratio < 0.7


def test_the_slope_of_a_zeroth_order_step_survives_half_precision_where_eps_is_large_enough(
    erasure_of: Callable[[str], Erasure],
) -> None:
    """The correlation of two-sided slopes in bfloat16 with float32's: 40 directions, 32 samples of the forget set.

    A loss is known to some 1e-3 of itself in bfloat16, so the slope's error goes as 1 / eps. Under no error at all the
    correlation is 1; of errors as large as the slopes it is 0.7.
    """
    erasure = erasure_of("class:3")
    batch = erasure.split.forget[:32]
    images, labels = erasure.data.train.images[batch], erasure.data.train.labels[batch]
    exact = erasure.fresh_model()
    rounded = build_model("cnn", erasure.data.spec, 0, "bfloat16").eval()
    rounded.load_state_dict(exact.state_dict())

    @torch.no_grad()
    def slopes(model: nn.Module, eps: float) -> Tensor:
        start = [parameter.clone() for parameter in model.parameters()]
        found = []
        for seed in range(40):
            draws, losses = torch.Generator().manual_seed(seed), []
            signs = [2.0 * torch.randint(0, 2, value.shape, generator=draws) - 1 for value in start]
            for side in (1, -1):
                for parameter, value, sign in zip(model.parameters(), start, signs, strict=True):
                    parameter.copy_(value + side * eps * sign)
                losses.append(F.cross_entropy(model(images), labels))
            found.append((losses[0] - losses[1]) / (2 * eps))
        for parameter, value in zip(model.parameters(), start, strict=True):
            parameter.copy_(value)
        return torch.stack(found)

    agreement = [
        float(torch.corrcoef(torch.stack([slopes(exact, eps), slopes(rounded, eps)]))[0, 1])
        for eps in (1e-4, 1e-3, 1e-2)
    ]
    assert agreement[0] < 0.7
    assert 0.9 < agreement[1] < agreement[2]
    assert agreement[2] > 0.99


class Loaded(nn.Module):
    """Two layers; `load` may put something into them."""

    def __init__(self, load: Callable[[nn.Module], Any]) -> None:
        super().__init__()
        self.body, self.norm, self.fc = nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Linear(16, 10)
        load(self)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.norm(self.body(images.flatten(1))))


TRAINED = torch.linspace(-1, 1, 16 * 64).view(16, 64)


def body_from_a_file(model: Any) -> None:
    model.body.weight.data = TRAINED.clone()


def body_frozen(model: Any) -> None:
    body_from_a_file(model)
    model.body.requires_grad_(False)


def own_generator(model: Any) -> None:
    nn.init.normal_(model.fc.weight, generator=torch.Generator().manual_seed(0))


def another_library(model: Any) -> None:
    model.fc.weight.data = torch.frombuffer(bytearray(os.urandom(160)), dtype=torch.uint8).view(10, 16) / 1


def test_weights_that_the_seed_decides_are_fine(register: Register) -> None:
    for load in (lambda model: None, body_frozen, lambda model: nn.init.eye_(model.body.weight)):
        check_seeded(register(lambda spec, load=load: Loaded(load)), SPEC)


@pytest.mark.parametrize(
    ("load", "words"),
    [
        (body_from_a_file, r"\(body\.weight\) do not depend on the seed, .* weights = FILE .* or retrain = false"),
        (own_generator, r"\(fc\.weight\) do not depend on the seed"),
        (lambda model: torch.manual_seed(0) and nn.init.normal_(model.fc.weight), r"\(fc\.weight\) do not depend"),
        (another_library, r"\(fc\.weight\) differ from one time to the next with the same seed"),
    ],
)
def test_weights_that_the_seed_does_not_decide_are_told(
    register: Register, load: Callable[[nn.Module], Any], words: str
) -> None:
    with pytest.raises(ModelError, match=f"model 'mine': its weights {words}") as error:
        check_seeded(register(lambda spec: Loaded(load)), SPEC)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["cnn", "resnet20", "mobilenet_v3_small", "shufflenet_v2_x0_5", "squeezenet1_1"])
def test_our_networks_begin_by_the_seed(name: str) -> None:
    check_seeded(name, ImageSpec(1, 32, 7))


def test_torchvisions_own_network_is_there_beside_ours() -> None:
    """With its 7x7 stem, so that its published weights fit, but for the last layer."""
    ours, theirs = (build_model(name, ImageSpec(3, 32, 10), 0) for name in ("resnet18", "torchvision:resnet18"))
    assert (ours.conv1.kernel_size, theirs.conv1.kernel_size) == ((3, 3), (7, 7))
    theirs.load_state_dict(torchvision.models.resnet18(num_classes=10).state_dict())
    assert isinstance(theirs.maxpool, nn.MaxPool2d)
    assert models.source("torchvision:resnet18") != models.source("resnet18")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnt18", "unknown model 'resnt18'; choose from: cnn, resnet20, .* torchvision:NAME, timm:NAME, hf:NAME"),
        ("torchvision:resnt18", "unknown model 'torchvision:resnt18'; did you mean resnet18"),
        ("elsewhere:net", "unknown model 'elsewhere:net'; choose from"),
    ],
)
def test_an_unknown_network_is_told(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        models.get(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("kind", "package"), [("timm", "timm"), ("hf", "transformers")])
def test_a_library_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, kind: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"{kind}:NAME need the package {package}: pip install 'zo.*\[{kind}\]'"):
        models.get(f"{kind}:vit_tiny")


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_a_network_of_timm(name: str) -> None:
    """One that takes any size and one that is made for a size; the architecture is timm's own."""
    timm = pytest.importorskip("timm")
    spec = ImageSpec(channels=1, size=32, classes=7)
    check_model(f"timm:{name}", spec)
    check_seeded(f"timm:{name}", spec)
    more = {"img_size": 32} if name.startswith("vit") else {}
    theirs = timm.create_model(name, pretrained=False, num_classes=7, in_chans=1, **more)
    state = build_model(f"timm:{name}", spec, 0).state_dict()
    assert {key: value.shape for key, value in state.items()} == {k: v.shape for k, v in theirs.state_dict().items()}


def test_an_unknown_network_of_timm_is_told() -> None:
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match="unknown model 'timm:resnt18'; did you mean resnet18"):
        models.get("timm:resnt18")


@pytest.fixture
def configured(tmp_path: Path) -> Path:
    """A folder with the configuration of a small vision transformer of transformers."""
    transformers = pytest.importorskip("transformers")
    transformers.ViTConfig(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, image_size=224, patch_size=4
    ).save_pretrained(tmp_path / "tiny")
    return tmp_path


@pytest.mark.parametrize("method", ["forward", "fo-ga", "fo-ga-checkpoint", "zo-ga"])
def test_a_network_of_hugging_face(configured: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    """By a path that counts from where the command is run, in every ledger and in the forecast."""
    monkeypatch.chdir(configured)
    check_model("hf:tiny", SPEC)
    check_seeded("hf:tiny", SPEC)
    stand_in = StandIn.of(case("hf:tiny", method), SPEC, None)
    assert forecast(stand_in) == tensor_peak(stand_in.prepare)
    model = build_model("hf:tiny", SPEC, 0).eval()
    images = torch.randn(3, 1, 8, 8)
    assert torch.equal(model(images), model.forward(images).logits)
    if method == "zo-ga" and RESET.exists():
        assert process_ledger().peak(stand_in).reason is None


def test_a_networks_configuration_is_part_of_its_source(configured: Path) -> None:
    name = f"hf:{configured / 'tiny'}"
    before = models.source(name)
    file = configured / "tiny" / "config.json"
    file.write_text(file.read_text().replace('"gelu"', '"relu"'))
    from bench.workloads.models import providers

    providers._configuration.cache_clear()
    assert models.source(name) != before


def test_a_network_of_hugging_face_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    for name, words in ((tmp_path, r"no config\.json in that folder"), (tmp_path / "no", "no such folder here, and")):
        with pytest.raises(ValueError, match=f"model 'hf:.*': {words}") as error:
            models.get(f"hf:{name}")
        assert "\n" not in str(error.value)


def test_multi_label_configurations_are_refused(configured: Path) -> None:
    file = configured / "tiny" / "config.json"
    file.write_text(file.read_text().replace("{", '{"problem_type": "multi_label_classification",', 1))
    with pytest.raises(ModelError, match="several labels a sample"):
        check_model(f"hf:{configured / 'tiny'}", SPEC)
