"""What a photo folder holds beside photos: everything is a sample, or counted and named."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from bench.base.paths import ROOT
from bench.profiles import Preprocessing
from bench.record import Inventory
from bench.workloads.datasets import library
from bench.workloads.images.folder import BESIDE, BESIDE_PARTS, HIDDEN, MET, NO_IMAGE
from bench.workloads.images.inventory import MOST_NAMES, in_words
from bench.workloads.images.samples import ImageData, PerClass

SKIP = Preprocessing(skip_unreadable=True)


def photo(path: Path, shade: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (9, 8), (shade, 0, 0)).save(path, format="PNG")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, two training images and a test image each."""
    for name in ("cat", "dog"):
        for path in ("train/{}/1.jpg", "train/{}/2.jpg", "test/{}/1.jpg"):
            photo(tmp_path / path.format(name))
    return tmp_path


def load(folder: Path, how: Preprocessing = SKIP, **options: object) -> ImageData:
    return library(how=how, **options)(f"imagefolder:{folder}", 8)  # type: ignore[arg-type]


def told(folder: Path, how: Preprocessing | None = None, **options: object) -> str:
    """What is refused, which is one line."""
    with pytest.raises(ValueError, match="imagefolder:") as error:
        load(folder, how or Preprocessing(), **options)
    assert "\n" not in str(error.value)
    return str(error.value).replace(str(folder), "FOLDER")


def test_a_clean_folder_leaves_nothing_out(folder: Path) -> None:
    data = load(folder, Preprocessing())
    assert data.inventory == Inventory(
        dataset=f"imagefolder:{folder}", train={"cat": 2, "dog": 2}, test={"cat": 1, "dog": 1}
    )
    assert data.train.names == ("train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg", "train/dog/2.jpg")
    assert data.test.names == ("test/cat/1.jpg", "test/dog/1.jpg")


def test_what_is_no_photo_is_left_out_by_name(folder: Path) -> None:
    cat = folder / "train" / "cat"
    photo(cat / ".ipynb_checkpoints" / "1-checkpoint.jpg")
    photo(folder / "train" / ".ipynb_checkpoints" / "1.jpg")
    photo(folder / "__MACOSX" / "train" / "cat" / "1.jpg")
    photo(folder / "train" / "__MACOSX" / "1.jpg")
    photo(folder / "train" / "#recycle" / "1.jpg")
    (folder / "train" / "lost+found").mkdir()
    photo(cat / "._1.jpg")
    for name in ("Thumbs.db", "thumbs.DB", ".DS_Store", "desktop.ini", "notes.txt", "no extension"):
        (cat / name).write_bytes(b"x")
    photo(folder / "train" / "stray.jpg")
    (folder / "readme.md").write_text("x")
    photo(folder / "val" / "cat" / "1.jpg")
    (cat / "again").symlink_to(cat)
    data = load(folder, Preprocessing())
    assert data.inventory.train == {"cat": 2, "dog": 2}
    assert {reason: sorted(names) for reason, names in data.inventory.left_out.items()} == {
        HIDDEN: sorted(
            [
                *("train/.ipynb_checkpoints/", "train/__MACOSX/", "train/cat/.DS_Store", "train/cat/._1.jpg"),
                *("train/cat/.ipynb_checkpoints/", "train/cat/Thumbs.db", "train/cat/desktop.ini"),
                *("train/cat/thumbs.DB", "train/#recycle/", "train/lost+found/"),
            ]
        ),
        NO_IMAGE: ["train/cat/no extension", "train/cat/notes.txt"],
        BESIDE: ["train/stray.jpg"],
        BESIDE_PARTS: ["__MACOSX/", "readme.md", "val/"],
        MET: ["train/cat/again/"],
    }


def test_every_image_is_found_in_torchvisions_order(folder: Path) -> None:
    """However deep, whatever the case of its ending; a class of links, too."""
    cat = folder / "train" / "cat"
    for name in ("b/3.PNG", "b-c/4.JPeG", "b/d/5.webp", "10.jpg", "é.jpg", "line\nbreak.jpg"):
        photo(cat / name)
    photo(folder / "elsewhere" / "1.jpg")
    (folder / "train" / "emu").symlink_to(folder / "elsewhere")
    (folder / "test" / "emu").mkdir()
    data = load(folder, Preprocessing())
    theirs = torchvision.datasets.ImageFolder(str(folder / "train"))
    assert [str(folder / name) for name in data.train.names] == [path for path, _ in theirs.samples]
    assert data.train.labels.tolist() == theirs.targets
    assert list(data.classes) == theirs.classes
    assert data.inventory.test == {"cat": 1, "dog": 1, "emu": 0}


def test_folders_that_link_to_each_other_are_read_once(folder: Path) -> None:
    cat = folder / "train" / "cat"
    for name, other in (("a", "b"), ("b", "a")):
        photo(cat / name / f"{name}.jpg")
        (cat / name / "link").symlink_to(cat / other)
    data = load(folder)
    assert data.inventory.train["cat"] == 4
    assert len(data.inventory.left_out[MET]) == 2


def test_a_name_that_is_no_unicode_can_be_told_and_kept(folder: Path) -> None:
    photo(folder / "train" / "cat" / os.fsdecode(b"caf\xe9.jpg"))
    (folder / "train" / "cat" / os.fsdecode(b"bad\xe9.jpg")).touch()
    assert "train/cat/bad\\xe9.jpg" in told(folder)
    data = load(folder)
    assert "train/cat/caf\\xe9.jpg" in data.train.names
    assert "bad" in data.inventory.model_dump_json()


def unreadable(folder: Path) -> None:
    """Three of cat's: damaged, of a foreign kind, and empty."""
    damaged = folder / "train" / "cat" / "3.jpg"
    Image.effect_noise((64, 64), 99).save(damaged)
    damaged.write_bytes(damaged.read_bytes()[:-34])
    (folder / "train" / "cat" / "4.svg").write_text("<svg/>")
    (folder / "test" / "cat" / "5\n.jpg").touch()


def test_all_that_cannot_be_read_is_named_at_once(folder: Path) -> None:
    unreadable(folder)
    said = told(folder)
    assert said.startswith("imagefolder:FOLDER: 3 files cannot be read (")
    assert said.endswith("): mend or remove them, or set skip_unreadable = true in [data]")
    assert "image file is truncated: train/cat/3.jpg" in said
    assert "not of a kind that can be read: train/cat/4.svg" in said
    assert "empty: test/cat/5\\n.jpg" in said


def test_what_cannot_be_read_is_skipped_and_counted_if_so_wished(folder: Path) -> None:
    photo(folder / "train" / "cat" / "2.jpg", shade=200)
    unreadable(folder)
    data, clean = load(folder), folder / "clean"
    for path in ("train/cat/1.jpg", "train/dog/1.jpg", "train/dog/2.jpg", "test/cat/1.jpg", "test/dog/1.jpg"):
        photo(clean / path)
    photo(clean / "train/cat/2.jpg", shade=200)
    assert data.inventory.train == {"cat": 2, "dog": 2}
    skipped = {names for reason, names in data.inventory.left_out.items() if reason.startswith("unreadable, ")}
    assert skipped == {("train/cat/3.jpg",), ("train/cat/4.svg",), ("test/cat/5\n.jpg",)}
    same, everything = load(clean), torch.arange(4)
    assert data.train.names == same.train.names
    assert torch.equal(data.train.images[everything], same.train.images[everything])
    assert [data.train.sha256(place) for place in range(4)] == [same.train.sha256(place) for place in range(4)]


def test_very_many_are_all_named_in_a_file(folder: Path) -> None:
    names = [f"train/cat/bad {number:03d}.jpg" for number in range(MOST_NAMES + 50)]
    for name in names:
        (folder / name).touch()
    said = told(folder)
    assert names[MOST_NAMES - 1] in said
    assert names[MOST_NAMES] not in said
    found = re.search(r"and 50 more, all of them in (\S+\.txt)", said)
    assert found is not None
    listed = Path(found[1])
    assert listed.read_text().splitlines() == [f"{name}: empty" for name in names]
    listed.unlink()


def test_images_that_are_all_unreadable_are_told(folder: Path) -> None:
    for path in folder.rglob("*.jpg"):
        path.write_bytes(b"no image")
    assert told(folder).startswith("imagefolder:FOLDER: 6 files cannot be read (not of a kind that can be read: train/")
    assert "no test images" in told(folder, SKIP)


def test_a_class_without_a_readable_image_is_told(folder: Path) -> None:
    (folder / "train" / "cat" / "1.jpg").write_bytes(b"")
    (folder / "train" / "cat" / "2.jpg").write_bytes(b"")
    assert "no images to train on in the class folders: cat; remove them" in told(folder, SKIP)
    for name in ("emu", "fox"):
        for part in ("train", "test"):
            (folder / part / name).mkdir()
    assert "no images to train on in the class folders: emu, fox; remove them" in told(folder)


@pytest.mark.parametrize(("part", "other"), [("train", "test"), ("test", "train")])
def test_classes_of_one_part_alone_are_named(folder: Path, part: str, other: str) -> None:
    photo(folder / part / "emu" / "1.jpg")
    photo(folder / part / "fox" / "1.jpg")
    assert f"{part}/ has emu, fox, {other}/ has not" in told(folder)


def test_a_class_that_may_not_be_read_is_not_called_empty(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor removed; the folder is named with what the system says of it."""
    walk = os.walk

    def denied(top: Path, onerror: Callable[[OSError], None], **options: bool) -> Iterator[object]:
        if top.name != "cat":
            yield from walk(top, onerror=onerror, **options)
        else:
            onerror(PermissionError(13, "Permission denied", str(top)))

    monkeypatch.setattr(os, "walk", denied)
    assert "2 files cannot be read (Permission denied: train/cat/, test/cat/)" in told(folder)
    assert "no images to train on in the class folders: cat" in told(folder, SKIP)


def test_one_class_folder_is_too_few(tmp_path: Path) -> None:
    photo(tmp_path / "cat" / "1.jpg")
    assert "but there is only cat" in told(tmp_path, test_fraction=0.5)
    (tmp_path / "empty").mkdir()
    assert "but there is none" in told(tmp_path / "empty", test_fraction=0.5)


def test_parts_are_not_taken_for_classes(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for name in ("cat", "dog"):
            photo(tmp_path / part / name / "1.jpg")
    assert "train, val: that is how parts are called, no classes" in told(tmp_path, test_fraction=0.5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_what_may_not_be_read_is_named(folder: Path) -> None:
    """By a child that is nobody, in a place where anybody may go."""
    code = """
import os, sys
from PIL import Image
from bench.workloads.datasets import library
Image.init()
os.setuid(65534)
try:
    library()("imagefolder:" + sys.argv[1], 8)
except ValueError as error:
    print(error)
"""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(folder, place, dirs_exist_ok=True)
        (Path(place) / "train" / "dog" / "secret").mkdir(mode=0)
        (Path(place) / "train" / "cat" / "1.jpg").chmod(0)
        Path(place).chmod(0o755)
        command = [sys.executable, "-c", code, place]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "2 files cannot be read (Permission denied: train/dog/secret/, train/cat/1.jpg)" in said


def test_only_the_first_files_of_each_class_are_read(folder: Path) -> None:
    """The second of each could not be."""
    for name in ("cat", "dog"):
        (folder / "train" / name / "2.jpg").write_bytes(b"no image")
    data = load(folder, Preprocessing(), per_class=PerClass(1, 1))
    assert data.train.names == ("train/cat/1.jpg", "train/dog/1.jpg")
    assert data.inventory.train == {"cat": 1, "dog": 1}


def test_the_inventory_in_a_line() -> None:
    even = Inventory(dataset="a", train={"x": 2000, "y": 2000}, test={"x": 1, "y\n": 0})
    assert in_words(even) == "a: train 4,000 (2,000 of each of 2 classes), test 1 (x 1, y\\n 0)"
    many = Inventory(
        dataset="a",
        train={str(label): 1 + label for label in range(100)},
        test={"x": 1},
        left_out={HIDDEN: ("a", "b", "c", "d"), "unreadable, empty": ("e",)},
    )
    assert in_words(many) == (
        "a: train 5,050 (1 to 100 of each of 100 classes), test 1 (1 of each of 1 classes); left out: 4 hidden or the "
        "system's own (a, b, c, ...); 1 unreadable, empty (e)"
    )


def test_a_folder_by_digits_has_one_meaning(tmp_path: Path) -> None:
    """Folders 1, 2, 3 and 10: class:1 is the folder of that name, and no place in the order of folders."""
    from bench.workloads.splits import split

    for name in ("1", "2", "3", "10"):
        for part in ("train", "test"):
            photo(tmp_path / part / name / "a.png")
    data = load(tmp_path)
    for name in data.classes:
        forget = split(data, f"class:{name}", 0).forget
        assert [data.train.names[place] for place in forget.tolist()] == [f"train/{name}/a.png"]
    with pytest.raises(ValueError, match=r"class:0: no such class in the data; choose from: 1, 10, 2, 3; .* names"):
        split(data, "class:0", 0)


def test_a_place_means_a_class_where_names_are_words(folder: Path) -> None:
    from bench.workloads.splits import split

    assert split(load(folder), "class:1", 0).forgotten_class == 1 == load(folder).classes.index("dog")


def test_colours_reach_the_network(folder: Path) -> None:
    """Red of 0 and 200, half and half, standardize to minus and plus 1; nothing in the other channels."""
    for name in ("cat", "dog"):
        photo(folder / "train" / name / "2.jpg", shade=200)
    seen = load(folder).train.images[torch.arange(4)]
    deviation = np.std(np.repeat([0, 200], 2 * 8 * 8), ddof=1) / 100
    assert torch.allclose(seen[:, 0, 0, 0] * deviation, torch.tensor([-1.0, 1, -1, 1]), atol=1e-5)
    assert not seen[:, 1:].any()


def test_classes_are_numbered_as_the_profile_orders_them(tmp_path: Path) -> None:
    """Images of one colour a class: whatever the numbers are called, a label's image is its class's."""
    levels = {"a": 10, "b": 120, "c": 250}
    for part in ("train", "test"):
        for name, level in levels.items():
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", (4, 4), (level, level, level)).save(tmp_path / part / name / f"{number}.png")
    how = Preprocessing(classes=["c", "a", "b"], mean=[0.0] * 3, std=[1.0] * 3)
    data = library(how=how)(f"imagefolder:{tmp_path}", 4)
    assert data.classes == ("c", "a", "b")
    assert data.fingerprint != library()(f"imagefolder:{tmp_path}", 4).fingerprint
    for part in (data.train, data.test):
        shown = (part.images[torch.arange(len(part))].mean((1, 2, 3)) * 255).round().int().tolist()
        assert shown == [levels[data.classes[label]] for label in part.labels.tolist()]
    with pytest.raises(ValueError, match=r"name the classes of .*, a, b, c; only one of the two has: c, d") as error:
        library(how=Preprocessing(classes=["a", "b", "d"]))(f"imagefolder:{tmp_path}", 4)
    assert "\n" not in str(error.value)
