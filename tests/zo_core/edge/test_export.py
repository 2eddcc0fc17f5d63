"""Packages: what becomes one computes what torch does, wherever its weights are; what cannot is refused by name."""

import copy
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.workloads.models import ImageSpec, build_model
from bench.workloads.models.outputs import give_logits
from tests.zo_core.edge.alone import make
from tests.zo_core.edge.conftest import CLASSES, SIZE, Packages, content, network
from zo_core.ascent.tail import tail_of
from zo_core.edge import Package, PackageError, export, load
from zo_core.edge.device.network import OnnxNetwork
from zo_core.edge.package import GRAPH, LAYOUT, Layout
from zo_core.edge.workstation.export import TOLERANCE, check
from zo_core.receipt import numbers_hash

FEW = {"image_size": 8, "classes": list("abc")}
KINDS = {
    **dict.fromkeys(["cnn", "resnet20", "resnet18", "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5"], 32),
    **dict.fromkeys(["densenet121", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "resnet50"], 64),
    **dict.fromkeys(["regnet_x_400mf", "regnet_y_400mf", "shufflenet_v2_x0_5", "squeezenet1_1", "convnext_tiny"], 64),
    "inception_v3": 96,
    "swin_t": 64,
    "swin_v2_t": 64,
    "timm:vit_tiny_patch16_224": 224,
}  # and the size of the images that each is tried with


class Base(nn.Module):
    """A convolution and a linear layer, and what is between them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 3)

    def between(self, features: Tensor) -> Tensor:
        return features

    def forward(self, images: Tensor) -> Any:
        return self.fc(self.between(torch.relu(self.conv(images)).mean((2, 3))))


class Tied(Base):
    """One weight in two layers, and a third one's under a name of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(4, 4), nn.Linear(4, 4)
        self.other.weight = self.one.weight
        self.unused = nn.Linear(4, 4, bias=False)
        self.used = nn.Linear(4, 4, bias=False)
        self.used.weight = self.unused.weight

    def between(self, features: Tensor) -> Tensor:
        return self.used(torch.tanh(self.other(torch.tanh(self.one(features)))))


class Normed(Base):
    """A norm whose running statistics are far from where they begin."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.norm.running_mean = torch.tensor([1.0, -2.0, 3.0, 0.5])
        self.norm.running_var = torch.tensor([4.0, 0.1, 1.0, 9.0])
        self.drop = nn.Dropout(0.5)

    def between(self, features: Tensor) -> Tensor:
        return self.drop(self.norm(features))


class Wrapped(Base):
    """Gives a dict, as transformers do."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"logits": super().forward(images)}


class Twice(Base):
    """The last layer has two parts in the logits."""

    def forward(self, images: Tensor) -> Tensor:
        features = torch.relu(self.conv(images)).mean((2, 3))
        return self.fc(features) + self.fc(2 * features)


class Scaled(Base):
    """The last layer's scores are not the logits, of which the closed form is."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) / 0.07


class Unused(Base):
    """The layer that is registered last is not used."""

    def __init__(self) -> None:
        super().__init__()
        self.auxiliary = nn.Linear(9, 3)


def agree(model: nn.Module, package: Package, samples: int) -> None:
    """Hold the engine against torch on a batch, with the weights as they are and all moved by a tenth."""
    how = package.layout.preprocessing
    images = torch.randn(samples, how.channels, how.size, how.size, generator=torch.Generator().manual_seed(samples))
    engine = OnnxNetwork(package)
    with torch.no_grad():
        for _ in range(2):
            wanted = model.eval()(images)
            bound = TOLERANCE * float(wanted.abs().max())
            assert engine.run(images.numpy()).logits == pytest.approx(wanted.numpy(), abs=bound)
            for parameter, numbers in zip(model.parameters(), engine.parameters.values(), strict=True):
                parameter.mul_(1.1)
                numbers[:] = parameter.numpy().reshape(-1)


@pytest.mark.parametrize(
    "model", [Base(), Tied(), Normed(), Twice(), Scaled(), Unused()], ids=lambda m: type(m).__name__
)
def test_it_computes_what_torch_does(tmp_path: Path, model: nn.Module) -> None:
    package = export(model, tmp_path / "package", **FEW)
    for samples in (1, 3, 8):
        agree(copy.deepcopy(model), package, samples)
    assert [parameter.name for parameter in package.layout.parameters] == [name for name, _ in model.named_parameters()]
    assert (package.layout.head is not None) is (type(model) in (Base, Normed))
    wanted = {"features"} if type(model) in (Base, Normed) else set()
    assert {one.name for one in onnx_ir.load(package.graph).graph.outputs} == {"logits"} | wanted


def test_the_model_is_unchanged_and_may_be_in_train_mode(tmp_path: Path) -> None:
    model = Normed().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    package = export(model, tmp_path / "package", **FEW)
    assert model.training
    assert not model._forward_hooks
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    agree(model, package, 4)


def test_features_are_what_the_last_layer_sees(packages: Packages) -> None:
    package, model = packages("resnet20"), network("resnet20")
    images = torch.randn(3, 3, SIZE, SIZE)
    with torch.no_grad():
        wanted = model[:-1](images).numpy()
    found = OnnxNetwork(package).run(images.numpy()).features
    assert found == pytest.approx(wanted, abs=1e-4 * float(np.abs(wanted).max()))


def test_tails_are_those_of_torch(packages: Packages) -> None:
    package, model = packages("resnet20"), network("resnet20")
    names = {parameter: name for name, parameter in model.named_parameters()}
    for tail in ("layer", "block", "stage"):
        assert package.layout.moved(tail) == tuple(names[parameter] for parameter in tail_of(model, tail))


def test_outputs_in_a_dict_are_taken_where_a_hook_gives_logits(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"gives dict for 1 images, and not \(1, 3\) logits"):
        export(Wrapped(), tmp_path / "package", **FEW)
    model = Wrapped()
    give_logits("wrapped", model, 3)
    agree(model, export(model, tmp_path / "package", **FEW), 3)


def test_images_of_one_channel(tmp_path: Path) -> None:
    model = build_model("cnn", ImageSpec(1, 8, 10), 0)
    package = export(model, tmp_path / "package", image_size=8, classes=CLASSES, channels=1, mean=[0.5], std=[0.25])
    how = package.layout.preprocessing
    assert (how.channels, how.mean, how.std) == (1, (0.5,), (0.25,))
    agree(model, package, 3)


def test_channels_last_weights_lie_as_their_shape_says(tmp_path: Path) -> None:
    model = Base().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    package = export(model, tmp_path / "package", **FEW)
    kept = package.layout.views(package.weights())["conv.weight"]
    assert np.array_equal(kept.reshape(4, 3, 3, 3), model.conv.weight.detach().numpy())
    agree(model, package, 2)


def test_a_package_holds_the_network_and_nothing_of_the_workstation(tmp_path: Path) -> None:
    package = export(Base(), tmp_path / "package", **FEW)
    assert {path.name for path in package.folder.iterdir()} == {"graph.onnx", "weights.npy", "pool.npy", "layout.json"}
    graph = package.graph.read_bytes()
    assert not any(word in graph for word in (b"File ", b".py", b"stack_trace", b"site-packages"))
    assert {one.name for one in onnx_ir.load(package.graph).graph.inputs} == {
        "images", "conv.weight", "conv.bias", "fc.weight", "fc.bias",
    }  # fmt: skip
    assert not any(one.const_value.size > 16 for one in onnx_ir.load(package.graph).graph.initializers.values())


def folded(package: Package, name: str, out: Path) -> Package:
    """The package with one weight in its graph as a constant, and hashes that say so."""
    shutil.copytree(package.folder, out)
    graph = onnx_ir.load(out / GRAPH)
    (value,) = (one for one in graph.graph.inputs if one.name == name)
    shape = next(one.shape for one in package.layout.parameters if one.name == name)
    graph.graph.inputs.remove(value)
    value.const_value = onnx_ir.tensor(package.layout.views(package.weights())[name].reshape(shape), name=name)
    graph.graph.initializers[name] = value
    onnx_ir.save(graph, out / GRAPH)
    hashes = dict(package.layout.sha256) | {GRAPH: sha256((out / GRAPH).read_bytes()).hexdigest()}
    (out / LAYOUT).write_text(replace(package.layout, sha256=hashes).to_json())
    return Package(out)


@pytest.mark.parametrize("name", ["0.weight", "2.bias", "9.weight", "9.bias"])
def test_a_weight_that_was_folded_is_caught(packages: Packages, tmp_path: Path, name: str) -> None:
    doctored = folded(packages("cnn"), name, tmp_path / "folded")
    check(network("cnn"), packages("cnn"))
    with pytest.raises(PackageError, match=f"the graph does not have {name} as an input: it was folded"):
        check(network("cnn"), doctored)


def test_weights_of_another_network_are_caught(packages: Packages) -> None:
    with pytest.raises(PackageError, match=r"the engine differs from torch by .* as it is"):
        check(build_model("cnn", ImageSpec(3, SIZE, 10), 1).eval(), packages("cnn"))


class Drawing(Base):
    """Another result every time."""

    def between(self, features: Tensor) -> Tensor:
        return features + torch.rand(4)


class OfTwo(Base):
    """Takes two images, and no other number of them."""

    def between(self, features: Tensor) -> Tensor:
        return features.reshape(2, 4)


class Singular(Base):
    """What no ONNX operator computes."""

    def between(self, features: Tensor) -> Tensor:
        return torch.linalg.svdvals(features[:, :, None] * features[:, None, :])


class Halved(Base):
    """What ONNX has, and ONNX Runtime cannot compute on a CPU."""

    def between(self, features: Tensor) -> Tensor:
        weight = torch.ones(4, 4, 1, dtype=torch.float64)
        return F.conv1d(features[:, :, None].double(), weight)[:, :, 0].float()


class Choosing(Base):
    """Another way for other numbers."""

    def between(self, features: Tensor) -> Tensor:
        return features if features.sum() > 0 else -features


class Infinite(Base):
    """No finite logits."""

    def between(self, features: Tensor) -> Tensor:
        return features / 0


class Failing(Base):
    """Raises what it likes, in two lines."""

    def between(self, features: Tensor) -> Tensor:
        raise KeyError("one\ntwo")


class Lazy(nn.Module):
    """Has no weights before it sees images."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.LazyLinear(3)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(images.flatten(1))


REFUSED: list[tuple[Callable[[], nn.Module], str]] = [
    (Drawing, "the engine differs from torch by"),
    (OfTwo, r"cannot take \(1, 3, 8, 8\) images"),
    (Singular, "torch cannot export the network: .*svd"),
    (Halved, "ONNX Runtime cannot run it: .*Conv"),
    (Choosing, "torch cannot export the network: "),
    (Infinite, "the network's logits are not finite as it is"),
    (Failing, r"cannot take \(2, 3, 8, 8\) images: 'one"),
    (Lazy, "lazy layers"),
    (lambda: Base().half(), "conv.weight is torch.float16; the edge has float32"),
    (lambda: Base().double(), "conv.weight is torch.float64"),
    (nn.Flatten, "has no parameters"),
    (lambda: build_model("cnn", ImageSpec(3, 8, 10), 0), r"gives a tensor of \(1, 10\) for 1 images, and not \(1, 3\)"),
    (lambda: build_model("cnn", ImageSpec(1, 8, 3), 0), r"cannot take \(2, 3, 8, 8\) images"),
]


@pytest.mark.parametrize(("make", "said"), REFUSED, ids=[said[:30] for _, said in REFUSED])
def test_what_cannot_be_a_package_is_refused_in_a_line(
    tmp_path: Path, make: Callable[[], nn.Module], said: str
) -> None:
    with pytest.raises(PackageError, match=said) as caught:
        export(make(), tmp_path / "some" / "package", **FEW)
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"channels": 2}, "1 or 3 channels, not 2"),
        ({"image_size": 0}, "no square of 0 pixels"),
        ({"resize": 7}, "no square of 8 pixels can be cut out of images resized to 7"),
        ({"resize": 0}, "resized to 0"),
        ({"resize": (7, 9)}, r"resized to \(7, 9\)"),
        ({"resize": (9,)}, "to height and width"),
        ({"resize": (9, 9, 9)}, "to height and width"),
        ({"mean": [0.5]}, "mean and std must be 3 finite numbers"),
        ({"mean": [0.5, 0.5, float("nan")]}, "mean and std must be 3 finite numbers"),
        ({"std": [0.5, 0.5, 0.0]}, "std above 0"),
        ({"std": [0.5, 0.5, float("inf")]}, "mean and std must be 3 finite numbers"),
        ({"interpolation": "lanczos"}, "unknown interpolation 'lanczos'; choose from: nearest, bilinear, bicubic"),
        ({"classes": []}, "two classes or more"),
        ({"classes": ["a"]}, "two classes or more"),
        ({"classes": ["a", "b", "a"]}, "a name of its own"),
        ({"classes": ["a", "b"]}, r"gives a tensor of \(1, 3\) for 1 images, and not \(1, 2\) logits"),
    ],
    ids=str,
)
def test_what_a_package_cannot_say_is_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(PackageError, match=said):
        export(Base(), tmp_path / "package", **FEW | given)
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_means_too(tmp_path: Path) -> None:
    package = export(Base(), tmp_path / "package", **FEW, mean=np.full(3, 0.5), std=torch.full((3,), 0.25))
    how = Package(package.folder).layout.preprocessing
    assert (how.mean, how.std) == ((0.5,) * 3, (0.25,) * 3)


def test_what_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "mine").write_text("mine")
    with pytest.raises(PackageError, match="is there already"):
        export(Base(), tmp_path / "package", **FEW)
    assert list(content(tmp_path)) == ["package", "package/mine"]
    (tmp_path / "package" / "mine").unlink()
    assert export(Base(), tmp_path / "package", **FEW).layout.numbers == 4 * 27 + 4 + 4 * 3 + 3


def test_load_puts_weights_back_and_leaves_buffers(tmp_path: Path) -> None:
    model = Normed()
    package = export(model, tmp_path / "package", **FEW)
    weights = package.weights() + np.float32(1)
    state = load(model.state_dict(), package, weights)
    assert list(state) == list(model.state_dict())
    assert torch.equal(state["norm.running_var"], torch.tensor([4.0, 0.1, 1.0, 9.0]))
    assert all(torch.equal(state[name], parameter + 1) for name, parameter in model.named_parameters())
    with pytest.raises(PackageError, match=r"conv\.bias is not what was exported"):
        load(model.state_dict() | {"conv.bias": model.conv.bias + 1}, package, weights)
    with pytest.raises(PackageError, match=r"lacks norm\.weight of shape"):
        load(Base().state_dict() | {"conv.weight": model.conv.weight, "conv.bias": model.conv.bias,
             "fc.weight": model.fc.weight, "fc.bias": model.fc.bias}, package, weights)  # fmt: skip
    with pytest.raises(PackageError, match="the erased weights are 3 numbers"):
        load(model.state_dict(), package, weights[:3])


def damaged(package: Package, out: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    shutil.copytree(package.folder, out)
    (out / name).write_bytes(change((out / name).read_bytes()))
    return out


@pytest.mark.parametrize("name", ["graph.onnx", "weights.npy", "pool.npy"])
@pytest.mark.parametrize("where", [0.0, 0.5, 0.999])
def test_a_byte_that_changed_is_told_by_its_file(packages: Packages, tmp_path: Path, name: str, where: float) -> None:
    def flipped(content: bytes) -> bytes:
        place = int(where * len(content))
        return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

    package = Package(damaged(packages("cnn"), tmp_path / "damaged", name, flipped))
    with pytest.raises(PackageError, match=name):
        OnnxNetwork(package, weights=package.weights() if package.pool().any() else None)


@pytest.mark.parametrize("place", range(0, 128, 3))
@pytest.mark.parametrize("byte", [0, 0x28, 0xFF])
def test_damage_in_the_head_of_an_array_is_told(packages: Packages, tmp_path: Path, place: int, byte: int) -> None:
    def overwritten(content: bytes) -> bytes:
        return content[:place] + bytes([byte]) + content[place + 1 :]

    package = packages("cnn")
    found = Package(damaged(package, tmp_path / "damaged", "weights.npy", overwritten))
    try:
        weights = found.weights()
    except PackageError as error:
        weights = None
        said = str(error)
    if weights is None:
        assert len(said.splitlines()) == 1
        assert "weights.npy" in said
    else:
        assert np.array_equal(weights, package.weights())


@pytest.mark.parametrize("name", ["weights.npy", "pool.npy", "graph.onnx"])
def test_a_file_that_is_gone_or_truncated_is_told(packages: Packages, tmp_path: Path, name: str) -> None:
    half = Package(damaged(packages("cnn"), tmp_path / "half", name, lambda content: content[: len(content) // 2]))
    with pytest.raises(PackageError, match=name):
        half.weights(), half.pool(), half.graph
    (half.folder / name).unlink()
    with pytest.raises(PackageError, match=f"{name}: No such file"):
        half.weights(), half.pool(), half.graph


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in a JSON value, a few of each list."""
    inner = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    return [path] + [found for key, one in inner for found in places(one, (*path, key))]


def test_a_layout_with_anything_else_in_a_field_is_damaged_or_read_as_it_stands(packages: Packages) -> None:
    """Whatever is put in a place, a line says so, or it is of the place's own kind."""
    text = packages("cnn").layout.to_json()
    told = 0
    for path in places(json.loads(text)):
        for value in (None, "x", -1, 1.5, [], {}, True, [[1]], {"a": 1}):
            changed = json.loads(text)
            if not path:
                changed = value
            else:
                inner = changed
                for key in path[:-1]:
                    inner = inner[key]
                inner[path[-1]] = value
            try:
                layout = Layout.from_json(json.dumps(changed))
            except (ValueError, KeyError, TypeError, AttributeError):  # as `Package` catches them
                told += 1
                continue
            assert isinstance(layout.numbers, int)
            assert len(layout.hash) == 64
            assert isinstance(layout.preprocessing.size, int)
            assert isinstance(layout.sha256.get(GRAPH), object)
    assert told > 300


@pytest.mark.parametrize("text", ["", "{", "null", "3", "[]", '"x"', "[" * 100_000, '{"format": "x"}', "\ud800"])
def test_a_layout_that_is_none_is_told(packages: Packages, tmp_path: Path, text: str) -> None:
    folder = tmp_path / "package"
    shutil.copytree(packages("cnn").folder, folder)
    (folder / LAYOUT).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(PackageError, match=r"layout\.json is damaged, or of another version"):
        Package(folder)


def test_hashes_are_of_the_numbers_as_they_are_on_the_disk(packages: Packages) -> None:
    package = packages("cnn")
    assert package.layout.sha256["weights.npy"] == numbers_hash(package.weights())
    raw = (package.folder / "weights.npy").read_bytes()[-4 * package.layout.numbers :]
    assert sha256(raw).hexdigest() == numbers_hash(package.weights())


def test_the_package_of_the_tests_without_torch_is_what_export_makes(tmp_path: Path) -> None:
    """But for the versions, and what they make of the graph; see `alone/make.py`."""
    kept, made = Package(make.DATA / "package"), make.package(tmp_path / "package")
    check(make.network().eval(), kept)
    assert replace(kept.layout, sha256={}, versions={}) == replace(made.layout, sha256={}, versions={})
    assert kept.pool() == pytest.approx(made.pool(), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), KINDS.items())
def test_every_kind_of_network_takes_batches_of_any_size(tmp_path: Path, name: str, size: int) -> None:
    """The smallest of each family that the suite has: the others are more of the same layers."""
    model = build_model(name, ImageSpec(3, size, 10), 0)
    package = export(model, tmp_path / "package", image_size=size, classes=CLASSES)
    assert package.layout.head is not None or name.startswith("squeezenet")  # whose last layer is a convolution
    for samples in (1, 3, 8):
        agree(copy.deepcopy(model), package, samples)
    shutil.rmtree(package.folder)
