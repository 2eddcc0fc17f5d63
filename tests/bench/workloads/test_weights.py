"""Weights of a user's own: what is saved comes back to the bit, and what cannot be used is told in one line."""

import os
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from bench.workloads.models import ImageSpec, build_model
from bench.workloads.weights import load_weights, read_metadata, save_weights


def small(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(mine, theirs) for mine, theirs in pairs)


@pytest.fixture
def trained() -> nn.Module:
    return small(seed=1)


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt", "nested.pth", "wrapped.bin", "half.safetensors"])
def test_every_way_of_saving_comes_back(tmp_path: Path, trained: nn.Module, name: str) -> None:
    path, state = tmp_path / name, trained.state_dict()
    if name == "m.safetensors":
        safetensors.torch.save_file(state, path)
    elif name == "half.safetensors":
        trained = trained.half().float()  # what half precision keeps
        safetensors.torch.save_file(
            {key: value.half() if value.is_floating_point() else value for key, value in state.items()}, path
        )
    elif name == "nested.pth":
        torch.save({"epoch": 3, "state_dict": state}, path)
    elif name == "wrapped.bin":
        torch.save({f"module.{key}": value for key, value in state.items()}, path)
    else:
        torch.save(state, path)
    model = small()
    source = load_weights(model, str(path), "small")
    assert same(model, trained)
    assert source.name == name
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_what_is_saved_comes_back_with_what_was_written_beside_it(tmp_path: Path, trained: nn.Module) -> None:
    path = tmp_path / "saved.safetensors"
    save_weights(path, trained, {"case": "cnn-zo-ga"})
    model = small()
    load_weights(model, str(path), "small")
    assert same(model, trained)
    assert read_metadata(path)["case"] == "cnn-zo-ga"
    assert safetensors.torch.load_file(path).keys() == trained.state_dict().keys()


def test_tied_weights_are_saved_under_both_names(tmp_path: Path) -> None:
    tied = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    tied[1].weight = tied[0].weight
    save_weights(tmp_path / "tied.safetensors", tied, {})
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    load_weights(model, str(tmp_path / "tied.safetensors"), "tied")
    assert same(model, tied)


class Trap:
    """Pickled, it would write a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.path, "sprung")


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    torch.save({"weight": Trap(sprung)}, tmp_path / "trap.pt")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Trap(sprung)))
    for name in ("trap.pt", "bare.pt"):
        with pytest.raises(ValueError, match="more than tensors, and is not unpickled") as error:
            load_weights(small(), str(tmp_path / name), "small")
        assert "\n" not in str(error.value)
    assert not sprung.exists()


@pytest.mark.parametrize("eighths", range(8))
def test_a_file_cut_anywhere_is_named(tmp_path: Path, eighths: int) -> None:
    """Whatever torch says of it: negative seek value, invalid argument, no central directory."""
    network = build_model("cnn", ImageSpec(channels=1, size=8, classes=10), 0)
    torch.save(network.state_dict(), tmp_path / "cut.pt")
    os.truncate(tmp_path / "cut.pt", (tmp_path / "cut.pt").stat().st_size * eighths // 8)
    with pytest.raises(ValueError, match=r"cut\.pt: truncated, or no file of weights$"):
        load_weights(network, str(tmp_path / "cut.pt"), "cnn")


def test_what_cannot_be_used_is_told_in_one_line(tmp_path: Path, trained: nn.Module) -> None:
    torch.save(trained, tmp_path / "whole model.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({}, tmp_path / "empty dict.pt")
    torch.save({"epoch": 3, "lr": 0.1, "best": 0.9, "net": trained.state_dict()}, tmp_path / "other key.pt")
    torch.save({"model": {"epoch": 3}}, tmp_path / "no weights.pt")
    torch.save({"weight": torch.zeros(2**16)}, tmp_path / "cut large.pt")  # of which torch says: invalid argument
    os.truncate(tmp_path / "cut large.pt", 2**17)
    torch.save(trained.state_dict(), tmp_path / "good.pt")
    save_weights(tmp_path / "good.safetensors", trained, {})
    for suffix in ("pt", "safetensors"):
        whole = (tmp_path / f"good.{suffix}").read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(whole[: len(whole) // 2])
        (tmp_path / f"empty.{suffix}").write_bytes(b"")
        (tmp_path / f"text.{suffix}").write_text("these are no weights")
        (tmp_path / f"folder.{suffix}").mkdir()
    save_weights(tmp_path / "other.safetensors", nn.Sequential(nn.Linear(2, 2)), {})
    save_weights(tmp_path / "wide.safetensors", nn.Sequential(*small()[:3], nn.Linear(16, 5)), {})
    broken = small()
    with torch.no_grad():
        broken[3].bias[0] = torch.nan
    save_weights(tmp_path / "nan.safetensors", broken, {})
    found = {
        "whole model.pt": "more than tensors",
        "list.pt": "holds no state dict; save",
        "empty dict.pt": "holds no state dict; save",
        "other key.pt": "nor is there one under state_dict, model_state_dict, model, module, but 'net', '",
        "no weights.pt": "module, but 'epoch'; save model.state_dict() alone",
        "cut.pt": "truncated, or no file of weights",
        "cut large.pt": "truncated, or no file of weights",
        "cut.safetensors": "truncated, or no file of weights",
        "empty.pt": "truncated, or no file of weights",
        "empty.safetensors": "truncated, or no file of weights",
        "text.pt": "truncated, or no file of weights",
        "text.safetensors": "truncated, or no file of weights",
        "folder.pt": "Is a directory",
        "folder.safetensors": "Is a directory",
        "not there.pt": "no such file",
        "other.safetensors": "missing: 1.weight, 1.bias, 1.running_mean and 3 more; other shapes: 0.weight is 2x2, the",
        "wide.safetensors": "other shapes: 3.weight is 5x16, the model's 3x16, 3.bias is 5, the model's 3",
        "nan.safetensors": "3.bias holds numbers that are not finite",
    }
    for name, words in found.items():
        with pytest.raises(ValueError) as error:  # noqa: PT011  (the words are next)
            load_weights(small(), str(tmp_path / name), "small")
        assert words in str(error.value), name
        assert "\n" not in str(error.value), name


def test_torchvisions_weights_are_not_fetched_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for given, model, words in (
        ("IMAGENET1K_V1", "resnet18", "add --download"),
        ("IMAGENET1K_V9", "resnet18", "choose from: IMAGENET1K_V1"),
        ("IMAGENET1K_V1", "cnn", "none of torchvision's networks"),
    ):
        with pytest.raises(ValueError, match=words):
            load_weights(small(), given, model)


def test_torchvisions_weights_are_found_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real loading code, on a file that lies where torch.hub would have put it, with the hash in its name."""
    import torchvision

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    entry = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1
    model = torchvision.models.squeezenet1_1()
    cached = tmp_path / "hub" / "checkpoints" / Path(entry.url).name
    cached.parent.mkdir(parents=True)
    torch.save(model.state_dict(), cached)
    for name in ("IMAGENET1K_V1", "SqueezeNet1_1_Weights.IMAGENET1K_V1"):
        loaded = torchvision.models.squeezenet1_1()
        source = load_weights(loaded, name, "torchvision:squeezenet1_1")
        assert same(loaded, model)
        assert source.name == f"torchvision squeezenet1_1 {name}"


def test_published_weights_that_do_not_fit_a_small_stem_are_told_where_they_do(tmp_path: Path) -> None:
    """torchvision's own ResNet has a 7x7 stem; the suite's, for small images, a 3x3 one."""
    import torchvision

    from bench.workloads.models import ImageSpec, build_model

    path = tmp_path / "resnet18.safetensors"
    save_weights(path, torchvision.models.resnet18(num_classes=10), {})
    spec = ImageSpec(3, 32, 10)
    with pytest.raises(ValueError, match=r"the model's 64x3x3x3; torchvision:resnet18 is the network"):
        load_weights(build_model("resnet18", spec, seed=0), str(path), "resnet18")
    load_weights(build_model("torchvision:resnet18", spec, seed=0), str(path), "torchvision:resnet18")
