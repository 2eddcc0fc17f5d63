"""Images as a network takes them: the same wherever their pixels are kept, and never more memory than is said."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import Tensor

from bench.base.paths import ROOT
from bench.profiles import Preprocessing, Profile
from bench.workloads.datasets import library
from bench.workloads.images import pixels, prepare
from bench.workloads.images.prepare import Means
from bench.workloads.images.preprocessing import preprocessing_of
from bench.workloads.images.samples import ImageData, PerClass, RawData

EVERYTHING = torch.arange(12)
SIZE = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve training images and four test images of two classes, no two alike."""
    place, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 2)):
        for name in ("cat", "dog"):
            (place / part / name).mkdir(parents=True)
            for number in range(count):
                image = rng.integers(0, 256, (30 + number, 40, 3), dtype=np.uint8)
                Image.fromarray(image).save(place / part / name / f"{number}.png")
    return place


def of_folder(folder: Path, how: Preprocessing | None = None, size: int = SIZE, **options: Any) -> ImageData:
    return library(how=how or Preprocessing(), **options)(f"imagefolder:{folder}", size)


def of_arrays(
    how: Preprocessing | None = None, size: int = 8, most: int | None = None, deep: torch.dtype = torch.uint8
) -> ImageData:
    """Twelve and four images of 3 x 10 x 10."""
    generator = torch.Generator().manual_seed(0)
    train, test = (torch.randint(256, (n, 3, 10, 10), generator=generator).to(deep) for n in (12, 4))
    raw = RawData(train, EVERYTHING % 2, test, torch.arange(4) % 2, ("a", "b"))
    return prepare.prepare("arrays", raw, size, Means(how or Preprocessing(), PerClass(most, most), Path(), print))


def keep(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Have pixels kept in one of the three ways."""
    if place != "floats":
        monkeypatch.setattr(prepare, "MOST_AS_FLOATS", 0)
    if place == "disk":
        monkeypatch.setattr(pixels, "MOST_IN_MEMORY", 0)


@pytest.mark.parametrize("make", [of_folder, of_arrays])
@pytest.mark.parametrize("place", ["memory", "disk"])
def test_images_are_the_same_wherever_their_pixels_are(
    folder: Path, place: str, make: Callable[..., ImageData], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = [folder] if make is of_folder else []
    floats = make(*given)
    assert isinstance(floats.train.images, Tensor)
    keep(monkeypatch, place)
    made = make(*given)
    assert not isinstance(made.train.images, Tensor)
    order = EVERYTHING[torch.randperm(12, generator=torch.Generator().manual_seed(1))][:7]
    for one, other in ((made.train, floats.train), (made.test, floats.test)):
        some = order[order < len(one)]
        assert torch.equal(one.images[some], other.images[some])
        assert one.images.shape == other.images.shape
        assert (len(one), len(one.images)) == (len(other), len(other.images))
        assert one.names == other.names
    assert made.train.images[order].dtype == torch.float32
    assert (made.spec, made.fingerprint) == (floats.spec, floats.fingerprint)


@pytest.mark.parametrize("place", ["floats", "memory", "disk"])
def test_the_mean_and_spread_are_those_of_the_training_images(
    folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against torchvision's own pixels, in float64; in chunks of a single image, too."""
    keep(monkeypatch, place)
    monkeypatch.setattr(prepare, "CHUNK", 1)
    how = torchvision.transforms.Compose(
        [torchvision.transforms.Resize(SIZE), torchvision.transforms.CenterCrop(SIZE), np.asarray]
    )
    truth = {
        part: np.stack([image for image, _ in torchvision.datasets.ImageFolder(str(folder / part), how)]) / 255
        for part in ("train", "test")
    }
    mean, deviation = truth["train"].mean((0, 1, 2)), truth["train"].std((0, 1, 2), ddof=1)
    data = of_folder(folder)
    for part, samples in (("train", data.train), ("test", data.test)):
        seen = samples.images[torch.arange(len(samples))].permute(0, 2, 3, 1).numpy()
        assert np.allclose(seen, (truth[part] - mean) / deviation, atol=1e-5)


def test_8_bits_of_arrays_are_between_0_and_1_and_floats_are_what_they_are() -> None:
    """With a mean of 0 and a spread of 1 nothing else happens to them."""
    plain = Preprocessing(mean=[0, 0, 0], std=[1, 1, 1])
    bytes_, floats = of_arrays(plain, 10), of_arrays(plain, 10, deep=torch.float32)
    assert torch.equal(bytes_.train.images[EVERYTHING] * 255, floats.train.images[EVERYTHING].round())
    assert floats.train.images[EVERYTHING].max() > 200


def test_arrays_are_resized_as_torchvision_resizes_tensors() -> None:
    how = Preprocessing(resize=9, mean=[0, 0, 0], std=[1, 1, 1])
    whole = of_arrays(Preprocessing(mean=[0, 0, 0], std=[1, 1, 1]), 10).train.images[EVERYTHING]
    expected = torchvision.transforms.functional.resize(whole, 9, antialias=True)
    assert torch.equal(of_arrays(how, 9).train.images[EVERYTHING], expected)


def test_hashes_are_of_the_source_and_do_not_depend_on_the_size(folder: Path) -> None:
    for make in (lambda size: of_folder(folder, size=size), lambda size: of_arrays(size=size)):
        small, large = make(8), make(16)
        for one, other in ((small.train, large.train), (small.test, large.test)):
            hashes = [one.sha256(place) for place in range(len(one))]
            assert hashes == [other.sha256(place) for place in range(len(other))]
            assert len(set(hashes)) == len(one)
        assert small.fingerprint != large.fingerprint
    data = of_folder(folder)
    for place, name in enumerate(data.train.names):
        assert data.train.sha256(place) == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    raw = of_arrays(Preprocessing(mean=[0, 0, 0], std=[1, 1, 1]), 10)
    bytes_ = (raw.train.images[torch.tensor([5])] * 255).round().to(torch.uint8)
    assert raw.train.sha256(5) == hashlib.sha256(bytes_.numpy().tobytes()).hexdigest()


def test_a_sample_keeps_its_name_and_hash_in_a_subset() -> None:
    """The third of each class: places 4 and 5 of the source."""
    whole, some = of_arrays(), of_arrays(most=3)
    assert some.train.names[-2:] == ("train/00004", "train/00005")
    assert some.test.names == whole.test.names == tuple(f"test/0000{place}" for place in range(4))
    assert [some.train.sha256(place) for place in range(6)] == [whole.train.sha256(place) for place in range(6)]


def test_the_fingerprint_knows_what_a_trained_model_depends_on(folder: Path, tmp_path: Path) -> None:
    same = tmp_path / "elsewhere"
    shutil.copytree(folder, same)
    known = of_folder(folder).fingerprint
    assert of_folder(same).fingerprint == known
    assert of_folder(same, Preprocessing(skip_unreadable=True)).fingerprint == known
    prints = {
        known,
        of_folder(same, Preprocessing(resize=30)).fingerprint,
        of_folder(same, Preprocessing(background=[0, 0, 0])).fingerprint,
        of_folder(same, Preprocessing(mean=[0.5] * 3, std=[0.5] * 3)).fingerprint,
    }
    (same / "train" / "cat" / "0.png").rename(same / "train" / "dog" / "a.png")
    prints.add(of_folder(same).fingerprint)
    (same / "train" / "cat").rename(same / "train" / "cats")
    (same / "test" / "cat").rename(same / "test" / "cats")
    prints.add(of_folder(same).fingerprint)
    assert len(prints) == 6


def profile(data: dict[str, Any], size: int = 224, weights: tuple[tuple[str, str | None], ...] = ()) -> Profile:
    """A profile with so many unlearning plans: their models and weights."""
    plans = [
        {
            "model": model,
            "weights": named,
            "retrain": False,
            "image_size": size,
            "batch_sizes": [1 + number],
            "scenarios": ["class:0"],
            "methods": ["fo-ga"],
            "seeds": [0],
            "horizon": 1,
            "max_steps": 1,
            "training": {"epochs": 1, "batch_size": 2, "lr": 0.1},
        }
        for number, (model, named) in enumerate(weights)
    ]
    step = {"models": ["cnn"], "image_size": size, "batch_sizes": [1], "methods": ["fo-ga"]}
    common = {"description": "", "dataset": "digits", "devices": ["cpu"], "threads": 1, "country": "FRA", "window_s": 1}
    return Profile.model_validate({**common, "data": data, "unlearning": plans, "step": step})


V1 = "IMAGENET1K_V1"


@pytest.mark.parametrize(
    ("model", "weights", "theirs"),
    [
        ("resnet18", V1, torchvision.models.ResNet18_Weights.IMAGENET1K_V1),
        ("torchvision:resnet18", f"ResNet18_Weights.{V1}", torchvision.models.ResNet18_Weights.IMAGENET1K_V1),
        ("resnet50", "DEFAULT", torchvision.models.ResNet50_Weights.DEFAULT),
        ("efficientnet_b0", V1, torchvision.models.EfficientNet_B0_Weights.IMAGENET1K_V1),
    ],
)
def test_weights_bring_their_transforms(folder: Path, model: str, weights: str, theirs: Any) -> None:
    """What reaches the network is what torchvision's preset makes of the same file."""
    how = preprocessing_of(profile({"transforms": "weights"}, weights=((model, weights), ("cnn", None))))
    seen = of_folder(folder, how, size=224).train
    for place in (0, 11):
        with Image.open(folder / seen.names[place]) as image:
            assert torch.allclose(seen.images[torch.tensor([place])][0], theirs.transforms()(image), atol=1e-6)


@pytest.mark.parametrize(
    ("data", "size", "weights", "words"),
    [
        ({"resize": 200}, 224, (), "data.resize: no square of image_size = 224 can be cut out of 200 pixels"),
        ({"resize": [256, 223]}, 224, (), "data.resize: no square of image_size = 224 can be cut out of 223 pixels"),
        ({"transforms": "weights"}, 224, (), "no weights in [unlearning]: name one of torchvision's by name"),
        ({"transforms": "weights"}, 224, (("resnet18", "my.safetensors"),), "'my.safetensors' are no weights of 'resn"),
        ({"transforms": "weights"}, 224, (("resnet18", "V7"),), "'V7' are no weights of 'resnet18'"),
        ({"transforms": "weights"}, 224, (("cnn", V1),), "'IMAGENET1K_V1' are no weights of 'cnn'"),
        (
            {"transforms": "weights"},
            192,
            (("resnet18", V1),),
            "the weights take 224 pixels: write image_size = 224, not",
        ),
        (
            {"transforms": "weights"},
            224,
            (("resnet50", V1), ("resnet50", "IMAGENET1K_V2")),
            "resnet50, IMAGENET1K_V1 and resnet50, IMAGENET1K_V2 take different ones",
        ),
    ],
)
def test_preprocessing_that_does_not_fit_is_told(data: dict[str, Any], size: int, weights: Any, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        preprocessing_of(profile(data, size, weights))
    assert "\n" not in str(error.value)


def test_as_many_numbers_as_channels() -> None:
    with pytest.raises(ValueError, match=r"data.mean has 1 numbers, and images of arrays have 3 channels"):
        of_arrays(Preprocessing(mean=[0.5], std=[0.5]))
    with pytest.raises(ValueError, match=r"data.mean has 3 numbers, and images of digits have 1 channels"):
        library(how=Preprocessing(mean=[0.5] * 3, std=[0.5] * 3))("digits", 8)


def test_too_little_room_is_told_before_anything_is_decoded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(monkeypatch, "disk")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**10))
    monkeypatch.setattr(pixels, "decode", None)
    with pytest.raises(ValueError, match=r"16 images of 24 pixels take 0.03 MiB in .*scratch, which has 0.00 MiB"):
        of_folder(folder, scratch=tmp_path / "scratch")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot write into the folder .*file: .*; choose another"):
        of_folder(folder, scratch=tmp_path / "file")


def test_nothing_stays_in_the_folder_of_pixels(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(monkeypatch, "disk")
    data = of_folder(folder, scratch=tmp_path / "new" / "scratch")
    assert list((tmp_path / "new" / "scratch").iterdir()) == []
    assert len(data.train.images[EVERYTHING]) == 12


def test_how_far_it_is_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "PLAIN_LINE_S", -1)
    lines: list[str] = []
    of_folder(folder, tell=lines.append)
    assert lines == [f"  {count} of 16 images decoded" for count in range(1, 17)]


def test_a_full_disk_is_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pixels of the first image do not fit: no image is called unreadable for that."""
    keep(monkeypatch, "disk")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pixels.PixelFile, "__setitem__", full)
    with pytest.raises(ValueError, match=r"pixels cannot be written into .*: No space left on device"):
        of_folder(folder, scratch=tmp_path)


CHILD = """
import json, resource, sys
from pathlib import Path
import torch
from bench.workloads.datasets import library
from bench.workloads.images import pixels, prepare
pixels.MOST_IN_MEMORY = prepare.MOST_AS_FLOATS = 2**24
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
data = library(scratch=Path(sys.argv[2]))(f"imagefolder:{sys.argv[1]}", 64)
for places in torch.arange(len(data.train)).split(16):
    data.train.images[places]
end = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({"count": len(data.train), "grown": end - start, "decoded": 3 * 64 * 64 * len(data.train)}))
"""


def test_ten_times_the_images_take_no_more_memory(tmp_path: Path) -> None:
    """Two folders of hard links to the same photographs; the larger one's pixels are 98 MB, as floats 393 MB.

    Both are allowed 16 MiB. What Python keeps of a file (names, hash, place in the queue) is less than 3 KiB.
    """
    original = tmp_path / "photo.jpg"
    Image.effect_noise((96, 80), 60).convert("RGB").save(original)
    found = []
    for count in (800, 8000):
        folder = tmp_path / str(count)
        for part, share in (("train", count), ("test", 2)):
            for name in ("cat", "dog"):
                (folder / part / name).mkdir(parents=True)
                for number in range(share // 2):
                    os.link(original, folder / part / name / f"{number}.jpg")
        command = [sys.executable, "-c", CHILD, str(folder), str(tmp_path)]
        found.append(json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout))
    small, large = found
    unit = 1 if sys.platform == "darwin" else 1024
    assert (small["count"], large["count"]) == (800, 8000)
    assert large["decoded"] > 90e6
    assert (large["grown"] - small["grown"]) * unit < 2**24 + 7200 * 3 * 2**10
