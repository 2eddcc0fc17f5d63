"""Images of a user's own from the command line to the JSON."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.record import Run
from tests.bench.conftest import Here
from tests.bench.run.conftest import TINY, records, usage_error


def photos(folder: Path, names: tuple[str, ...]) -> None:
    """Eight training images and two test images of each class, bright for the first and dark for the second."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(names):
        for part, count in (("train", 8), ("test", 2)):
            (folder / part / name).mkdir(parents=True)
            for number in range(count):
                image = rng.integers(0, 100, (40, 50, 3), dtype=np.uint8) + np.uint8(150 * label)
                Image.fromarray(image).save(folder / part / name / f"{number}.jpg")


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """The tiny profile, on a folder of photographs."""
    photos(tmp_path / "photos", ("cat", "dog"))
    path = tmp_path / "photos.toml"
    text = TINY.replace('"digits"', f'"imagefolder:{tmp_path / "photos"}"').replace("class:3", "class:dog")
    path.write_text(text.replace("image_size = 8", "image_size = 16").replace("epochs = 2", "epochs = 20"))
    return path


def test_what_was_found_is_printed_and_kept(tmp_path: Path, here: Here, profile: Path) -> None:
    train = tmp_path / "photos" / "train"
    (train / "cat" / ".DS_Store").touch()
    (train / "cat" / "broken.jpg").touch()
    (train / "dog" / "7.jpg").unlink()
    text = profile.read_text().replace("max_steps = 600", "max_steps = 3")
    profile.write_text(f"{text}\n[data]\nskip_unreadable = true\n")
    target = tmp_path / "x.json"
    arguments = ("--profile", profile, f"--benchmark-json={target}", f"--checkpoints={tmp_path}", "--no-energy")
    code, said = here(*arguments, "-k", "class and fo-ga")
    assert code == 0, said
    (found,) = Run.model_validate(json.loads(target.read_text())["run"]).data
    assert (found.train, found.test) == ({"cat": 8, "dog": 7}, {"cat": 2, "dog": 2})
    assert found.left_out == {
        "hidden or the system's own": ("train/cat/.DS_Store",),
        "unreadable, empty": ("train/cat/broken.jpg",),
    }
    line = next(line for line in said.splitlines() if line.startswith("imagefolder:"))
    assert "train 15 (cat 8, dog 7), test 4 (2 of each of 2 classes); left out: 1 hidden" in line
    (record,) = records(target).values()
    assert record.curve is not None
    assert record.curve.retain_accuracy[0] == 100  # bright and dark are told apart


def test_unreadable_images_are_told_before_anything_runs(tmp_path: Path, here: Here, profile: Path) -> None:
    for name in ("a.jpg", "b.heic", "c.png"):
        (tmp_path / "photos" / "train" / "cat" / name).write_bytes(b"no image")
    arguments = ("--profile", profile, f"--benchmark-json={tmp_path / 'x.json'}", f"--checkpoints={tmp_path}")
    told = usage_error(here, *arguments)
    assert ": 3 files cannot be read (" in told
    assert all(f"train/cat/{name}" in told for name in ("a.jpg", "b.heic", "c.png"))
    assert told.endswith("mend or remove them, or set skip_unreadable = true in [data]")
    assert not (tmp_path / "x.json").exists()


def test_listing_the_cases_decodes_nothing(tmp_path: Path, here: Here, profile: Path) -> None:
    for path in (tmp_path / "photos").rglob("*.jpg"):
        path.write_bytes(b"no image")
    code, said = here("--profile", profile, "--collect-only", "-q")
    assert code == 0, said
    assert "test_step_cost[cnn-b4-zo-ga]" in said


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            'transform = "weights"',
            "unknown key 'data.transform'; choose from: background, classes, interpolation, mean, resize",
        ),
        ("resize = 12", "data.resize: no square of image_size = 16 can be cut out of 12 pixels"),
        ('transforms = "weights"', "data.transforms: no weights in [unlearning]"),
        ("mean = [0.5]\nstd = [0.5]", "data.mean has 1 numbers, and images of imagefolder:"),
    ],
)
def test_preprocessing_that_cannot_be_is_told(tmp_path: Path, here: Here, profile: Path, data: str, words: str) -> None:
    """Before an image is decoded: the folder has one that cannot be."""
    (tmp_path / "photos" / "train" / "cat" / "broken.jpg").touch()
    profile.write_text(f"{profile.read_text()}\n[data]\n{data}\n")
    assert words in usage_error(here, "--profile", profile, f"--benchmark-json={tmp_path / 'x.json'}")
