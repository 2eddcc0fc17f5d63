"""Models, data, splits: they adapt, they are reproducible, and they never leak the forget set."""

import math
import struct
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from sklearn.datasets import load_digits

from bench.base.seeds import generator
from bench.profiles import Training
from bench.workloads.datasets import in_memory, library
from bench.workloads.images.samples import ImageData, PerClass
from bench.workloads.models import ImageSpec, build_model, check_model, model_bytes, models
from bench.workloads.splits import batches_once, endless_batches, split
from bench.workloads.training.lesson import Lesson, learn

LIBRARY = library()


def digits(size: int = 8) -> ImageData:
    return LIBRARY("digits", size)


# Smallest square images in 32-pixel steps, of one channel, that these torchvision families take; the others take 32.
LARGER = {"alexnet": 64, "inception_v3": 96, "maxvit_t": 224, "vit_h_14": 224}
TOO_LARGE = {"regnet_y_128gf"}  # 2.6 GB of weights, built for real
FAMILIES = {  # the smallest of each, and our own
    *("cnn", "resnet20", "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3"),
    *("maxvit_t", "mnasnet0_5", "mobilenet_v2", "mobilenet_v3_small", "regnet_y_400mf", "resnet18", "squeezenet1_1"),
    *("shufflenet_v2_x0_5", "swin_t", "vgg11", "vit_b_16"),
}
SHIPPED = [name for name in models if models.module(name).startswith("bench.")]  # other tests register theirs


def sweep() -> list[Any]:
    """Every model, those that are not the first of their family behind the marker."""
    return [
        pytest.param(name, marks=[] if name in FAMILIES else pytest.mark.slow)
        for name in SHIPPED
        if name not in TOO_LARGE
    ]


@pytest.mark.parametrize("name", sweep())
def test_every_model_adapts_to_channels_and_classes(name: str) -> None:
    check_model(name, ImageSpec(channels=1, size=LARGER.get(name, 32), classes=7), device="meta")


def test_every_torchvision_classification_model_is_there() -> None:
    assert set(torchvision.models.list_models(module=torchvision.models)) <= set(SHIPPED)


def test_a_model_that_does_not_take_the_images_is_told() -> None:
    with pytest.raises(ValueError, match=r"'alexnet' does not take 32x32 images .* take another image size") as error:
        check_model("alexnet", ImageSpec(1, 32, 10))
    assert "\n" not in str(error.value)


def test_resnets_get_the_cifar_stem_on_small_images_only() -> None:
    small, large = (build_model("resnet18", ImageSpec(3, size, 10), seed=0) for size in (32, 224))
    assert (small.conv1.kernel_size, small.conv1.stride) == ((3, 3), (1, 1))
    assert (large.conv1.kernel_size, large.conv1.stride) == ((7, 7), (2, 2))


def test_model_sizes() -> None:
    """Counted by hand: 3x3 kernels and biases of 1-16-32-64 channels, then 256 to 10."""
    parameters = (9 + 1) * 16 + (9 * 16 + 1) * 32 + (9 * 32 + 1) * 64 + (256 + 1) * 10
    assert model_bytes("cnn", ImageSpec(1, 8, 10)) == 4 * parameters
    assert sum(p.numel() for p in build_model("resnet20", ImageSpec(3, 32, 10), 0).parameters()) == 269_722


def test_weights_depend_on_the_seed_alone() -> None:
    spec = ImageSpec(1, 8, 10)
    torch.manual_seed(1)
    first = build_model("cnn", spec, seed=3)
    state = torch.random.get_rng_state()
    second, other = build_model("cnn", spec, seed=3), build_model("cnn", spec, seed=4)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(first[0].weight, other[0].weight)


def test_digits_are_scikit_learns_digits() -> None:
    """Standardizing is affine: undone by the known range 0 to 16, the very same rows come back."""
    data, truth = digits(), load_digits()
    images = torch.cat([data.train.images, data.test.images]).flatten(1).double()
    pixels = (16 * (images - images.min()) / (images.max() - images.min())).round().numpy()
    labels = torch.cat([data.train.labels, data.test.labels]).numpy()
    ours, theirs = np.column_stack([pixels, labels]), np.column_stack([truth.data, truth.target])
    assert sorted(map(tuple, ours)) == sorted(map(tuple, theirs))
    counts = torch.bincount(data.test.labels)
    assert (counts.max() - counts.min()).item() <= 2  # stratified


@pytest.mark.parametrize(("train", "test"), [(5, 2), (None, 3), (7, None)])
def test_a_subset_is_the_first_samples_of_each_class(train: int | None, test: int | None) -> None:
    """In their order; and standardized over themselves, so known up to one affine map."""
    some, whole = library(per_class=PerClass(train, test))("digits", 8), digits()

    def first(labels: torch.Tensor, count: int | None) -> list[int]:
        taken, counts = [], [0] * 10
        for place, label in enumerate(labels.tolist()):
            if count is None or counts[label] < count:
                taken.append(place)
            counts[label] += 1
        return taken

    training, testing = first(whole.train.labels, train), first(whole.test.labels, test)
    assert torch.equal(some.train.labels, whole.train.labels[training])
    assert torch.equal(some.test.labels, whole.test.labels[testing])
    if train is not None:
        assert len(training) == 10 * train
    picked = whole.train.images[training]
    mean, deviation = picked.mean(), picked.std()
    assert torch.allclose(some.train.images, (picked - mean) / deviation, atol=1e-4)
    assert torch.allclose(some.test.images, (whole.test.images[testing] - mean) / deviation, atol=1e-4)
    assert (some.fingerprint == whole.fingerprint) is False
    assert some.classes == whole.classes


def test_a_subset_may_begin_at_another_place_of_each_class() -> None:
    """Parts of each class that follow one another are apart, and together the whole."""
    first, rest = (library(per_class=PerClass((start, end), 5))("digits", 8) for start, end in ((0, 40), (40, 1000)))
    whole = digits()
    assert first.train.labels.bincount().tolist() == [40] * 10
    assert len(first.train) + len(rest.train) == len(whole.train)
    assert first.train.names == library(per_class=PerClass(40, 5))("digits", 8).train.names
    assert sorted(first.train.names + rest.train.names) == sorted(whole.train.names)


def test_each_data_set_of_a_library_is_loaded_once() -> None:
    one = library()
    assert one("digits", 8) is one("digits", 8)
    assert one("digits", 8).spec != one("digits", 16).spec


def test_images_are_standardized_and_resized() -> None:
    data = digits(32)
    assert data.spec == ImageSpec(channels=1, size=32, classes=10)
    assert digits().train.images.mean().item() == pytest.approx(0, abs=1e-5)
    assert digits().train.images.std().item() == pytest.approx(1, abs=1e-4)


def test_fake_images_have_any_resolution() -> None:
    data = library()("fake:3x48x48", 48)
    assert data.spec == ImageSpec(3, 48, 10)


def write_images(folder: Path, classes: tuple[str, ...], count: int) -> None:
    rng = np.random.default_rng(0)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for index in range(count):
            pixels = rng.integers(0, 255, (40, 30, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index}.png")


def test_an_image_folder_with_train_and_test(tmp_path: Path) -> None:
    write_images(tmp_path / "train", ("cat", "dog"), 6)
    write_images(tmp_path / "test", ("cat", "dog"), 2)
    data = library()(f"imagefolder:{tmp_path}", 16)
    assert (data.train.images.shape, data.test.images.shape) == ((12, 3, 16, 16), (4, 3, 16, 16))
    assert data.classes == ("cat", "dog")
    assert split(data, "class:dog", 0).forgotten_class == 1


def test_an_image_folder_to_be_split(tmp_path: Path) -> None:
    write_images(tmp_path, ("cat", "dog"), 10)
    data = library(test_fraction=0.3)(f"imagefolder:{tmp_path}", 16)
    assert (len(data.train.labels), len(data.test.labels)) == (14, 6)
    with pytest.raises(ValueError, match="make train/ and test/ in it, or set test_fraction"):
        library()(f"imagefolder:{tmp_path}", 16)
    with pytest.raises(ValueError, match="change test_fraction"):
        library(test_fraction=0.01)(f"imagefolder:{tmp_path}", 16)
    (tmp_path / "cat" / "0.png").write_bytes(b"no image")
    with pytest.raises(
        ValueError, match=r"imagefolder:.*1 file cannot be read \(not of a kind that can be read: cat/0.png\)"
    ) as error:
        library(test_fraction=0.3)(f"imagefolder:{tmp_path}", 16)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "root", "words"),
    [
        ("cifar10", None, "needs --data-root DIR"),
        ("cifar10", "empty", "not in .*: add --download"),
        ("svhn", "empty", "not in .*: add --download"),
        ("mnist", "empty", "not in .*: add --download"),
        ("imagefolder:nowhere", None, "imagefolder:nowhere: there is no such folder"),
        ("imagefolder:", None, "write imagefolder:PATH"),
        ("fake:3x10", None, "write fake:CxHxW"),
        ("fake:3x10x20", None, "square"),
        ("fake:3x100000x100000", None, "neither side nor channels above 4096"),
        ("digits:8", None, "takes nothing behind a colon"),
    ],
)
def test_missing_data_are_told(tmp_path: Path, name: str, root: str | None, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        library(tmp_path if root else None)(name, 32)
    assert "\n" not in str(error.value)


def test_a_torchvision_set_is_read_from_its_own_files(tmp_path: Path) -> None:
    """MNIST's published format (IDX: big-endian magic number and sizes, then bytes), with known pixels."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, 20, 28, 28) + pixels.tobytes())
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, 20) + bytes(range(10)) * 2)
    data = library(tmp_path)("mnist", 28)
    assert data.test.labels.tolist() == list(range(10)) * 2
    standardized = (pixels - pixels.mean()) / pixels.std(ddof=1)
    assert np.allclose(data.train.images[:, 0].numpy(), standardized, atol=1e-4)
    assert data.classes[3] == "3 - three"


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.zeros((5, 28, 28), np.uint8), (5, 1, 28, 28)),  # MNIST
        (np.zeros((5, 32, 32, 3), np.uint8), (5, 3, 32, 32)),  # CIFAR
        (np.zeros((5, 3, 32, 32), np.uint8), (5, 3, 32, 32)),  # SVHN
    ],
)
def test_channels_come_first(pixels: np.ndarray, expected: tuple[int, ...]) -> None:
    images, labels = in_memory(SimpleNamespace(data=pixels, labels=[0, 1, 2, 3, 4]))
    assert images.shape == expected
    assert labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("scenario", ["class:3", "random:0.1"])
def test_a_split_is_a_partition(scenario: str) -> None:
    data = digits()
    parts = split(data, scenario, seed=0)
    assert torch.equal(torch.cat([parts.forget, parts.retain]).sort().values, torch.arange(len(data.train.labels)))


def test_a_class_scenario_forgets_the_class_and_tests_without_it() -> None:
    data = digits()
    parts = split(data, "class:3", seed=0)
    assert set(data.train.labels[parts.forget].tolist()) == {3}
    assert 3 not in data.train.labels[parts.retain]
    assert 3 not in data.test.labels[parts.test]
    assert len(parts.test) == (data.test.labels != 3).sum()


def test_a_random_scenario_depends_on_the_seed() -> None:
    data = digits()
    first, again, other = (split(data, "random:0.1", seed).forget for seed in (0, 0, 1))
    assert len(first) == round(0.1 * 1437)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("scenario", ["class:3", "random:0.1"])
def test_unseen_data_are_of_the_forget_sets_kind(scenario: str) -> None:
    data = digits()
    parts = split(data, scenario, seed=0)
    expected = torch.arange(len(data.test.labels))
    assert torch.equal(parts.unseen, expected[data.test.labels == 3] if scenario == "class:3" else expected)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_forget_set_does_not_depend_on_the_order_of_training(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the samples that training sees first, as many are to be forgotten as of any others: a tenth.

    The number among 128 is hypergeometric: mean 12.8, standard deviation 3.2; 5 of them either way.
    """
    data = digits()
    forget = split(data, "random:0.1", seed).forget
    counted = replace(
        data, train=replace(data.train, images=torch.arange(1437.0).view(-1, 1, 1, 1).expand(-1, 1, 8, 8))
    )
    seen: list[torch.Tensor] = []

    class Watching(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.logits = torch.nn.Parameter(torch.zeros(10))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images[:, 0, 0, 0].long())
            return self.logits.expand(len(images), 10)

    monkeypatch.setitem(models._entries, "watching", lambda spec: Watching())
    training = Training(epochs=1, batch_size=64, lr=0.1)
    learn(Lesson("watching", counted, torch.arange(1437), training, seed, torch.device("cpu")))
    first = torch.cat(seen)[:128]
    share = len(forget) / 1437
    deviation = math.sqrt(128 * share * (1 - share) * (1437 - 128) / 1436)
    assert len(first.unique()) == 128
    assert abs(torch.isin(first, forget).sum() - 128 * share) < 5 * deviation


def test_a_purpose_has_a_stream_of_its_own() -> None:
    """The same again for the same seed and purpose; bits of any two others agree half the time, within 5 errors."""

    def bits(seed: int, purpose: str) -> torch.Tensor:
        return torch.randint(2, (4000,), generator=generator(seed, purpose))

    streams = [bits(seed, purpose) for seed in (0, 1, 10) for purpose in ("forget", "retain", "split")]
    assert torch.equal(streams[0], bits(0, "forget"))
    for one, other in combinations(streams, 2):
        assert abs((one == other).double().mean() - 0.5) < 5 * 0.5 / math.sqrt(4000)


@pytest.mark.parametrize("names", [("1", "2", "10"), ("1.0", "2.0"), ("-1", "x")])
def test_where_a_class_is_called_by_a_number_no_index_counts(tmp_path: Path, names: tuple[str, ...]) -> None:
    for part in ("train", "test"):
        write_images(tmp_path / part, names, 2)
    data = library()(f"imagefolder:{tmp_path}", 8)
    for name in names:
        assert data.classes[split(data, f"class:{name}", 0).forgotten_class] == name
    with pytest.raises(ValueError, match=r"class:0: no such class .*; with numbers for names, only names count"):
        split(data, "class:0", 0)


def test_a_class_that_is_not_there_is_told() -> None:
    with pytest.raises(ValueError, match=r"class:11: no such class in the data; choose from: 0, 1, 2"):
        split(digits(), "class:11", seed=0)


def test_batches_see_every_sample_once_a_round_and_nothing_else() -> None:
    data = digits()
    indices = torch.arange(5, 15)
    markers = torch.arange(len(data.train.labels), dtype=torch.float32)
    stream = endless_batches(markers, data.train.labels, indices, batch_size=4, order=generator(0, "test"))
    seen = torch.cat([next(stream)[0] for _ in range(5)]).long()
    assert torch.equal(seen[:10].sort().values, indices)
    assert torch.equal(seen[10:].sort().values, indices)
    again = endless_batches(markers, data.train.labels, indices, batch_size=4, order=generator(0, "test"))
    assert torch.equal(torch.cat([next(again)[0] for _ in range(5)]).long(), seen)


@pytest.mark.parametrize("batch_size", [1, 4, 5, 10, 64])
def test_batches_once_are_every_sample_once_in_order(batch_size: int) -> None:
    images, labels, indices = torch.arange(20.0), torch.arange(20) % 3, torch.tensor([7, 3, 19, 0, 4, 5, 11, 2, 1, 16])
    batches = list(batches_once(images, labels, indices, batch_size))
    assert [len(targets) for _, targets in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert torch.equal(torch.cat([inputs for inputs, _ in batches]).long(), indices)
    assert torch.equal(torch.cat([targets for _, targets in batches]), indices % 3)


def test_batches_may_be_larger_than_the_data() -> None:
    images, labels = next(endless_batches(torch.zeros(3, 1), torch.arange(3), torch.arange(3), 7, generator(0, "test")))
    assert labels.bincount().tolist() in ([2, 2, 3], [2, 3, 2], [3, 2, 2])
    assert len(images) == 7


def test_training_with_dropout_is_determined_by_the_seed() -> None:
    models.register("dropout-net")(
        lambda spec: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(64, spec.classes))
    )
    training, some = Training(epochs=1, batch_size=64, lr=0.1), torch.arange(200)
    first, second = (learn(Lesson("dropout-net", digits(), some, training, 0, torch.device("cpu"))) for _ in range(2))
    assert torch.equal(first[2].weight, second[2].weight)


@pytest.mark.parametrize("name", ["cnn", "resnet20"])
def test_retraining_starts_from_scratch(name: str) -> None:
    """Whatever ran before and wherever torch's own generator stands: the same weights and buffers, to the bit.

    Nothing of the original is left in them, nor of a new network's buffers: every parameter tensor differs from both.
    """
    data, training, cpu = digits(), Training(epochs=1, batch_size=64, lr=0.1, weight_decay=5e-3), torch.device("cpu")
    retain = split(data, "class:3", 0).retain[:400]
    torch.manual_seed(1)
    first = learn(Lesson(name, data, retain, training, 0, cpu))
    original = learn(Lesson(name, data, torch.arange(500), training, 0, cpu))
    torch.manual_seed(2)
    torch.rand(7)
    again = learn(Lesson(name, data, retain, training, 0, cpu))
    other = learn(Lesson(name, data, retain, training, 1, cpu))
    new = build_model(name, data.spec, 0)
    for key, value in first.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key
        if key.endswith("num_batches_tracked"):  # one an own step, not the original's beside
            assert value == math.ceil(400 / 64) < original.state_dict()[key]
        else:
            assert not torch.equal(value, original.state_dict()[key]), key
            assert not torch.equal(value, new.state_dict()[key]), key
            assert not torch.equal(value, other.state_dict()[key]), key


def test_training_learns_the_digits_and_repeats_itself() -> None:
    data, everything = digits(), torch.arange(1437)
    training = Training(epochs=4, batch_size=64, lr=0.1)
    assert Lesson("cnn", data, everything, training, 0, torch.device("cpu")).steps == 4 * 23
    first, second = (learn(Lesson("cnn", data, everything, training, 0, torch.device("cpu"))) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    with torch.no_grad():
        accuracy = (first(data.test.images).argmax(1) == data.test.labels).double().mean().item()
    assert accuracy > 0.9
