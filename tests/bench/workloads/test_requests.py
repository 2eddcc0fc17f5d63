"""Requests that name their samples: found however a path is written, refused in one line, hashed as sha256sum does."""

import hashlib
from pathlib import Path

import pytest
import torch
from PIL import Image

from bench.profiles import Preprocessing
from bench.workloads.datasets import library
from bench.workloads.images.samples import ImageData
from bench.workloads.requests import digest, erased, places, read_list, samples
from bench.workloads.splits import check_scenario, split

COUNT = 6  # images of each class


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draws = torch.Generator().manual_seed(0)
    for part in ("train", "test"):
        for name in ("a cat", "dog"):
            for number in range(COUNT):
                path = tmp_path / "photos" / part / name / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                pixels = torch.randint(0, 256, (20, 30, 3), generator=draws, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(path)
    return tmp_path


def load(folder: Path, size: int = 8) -> ImageData:
    of_folder = library(how=Preprocessing(), scratch=folder, tell=lambda line: None)
    return of_folder(f"imagefolder:{folder / 'photos'}", size)


def listed(folder: Path, text: str, name: str = "list.txt") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_a_path_may_be_written_in_every_way(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load(folder)
    wanted = [data.train.names.index("train/a cat/1.png"), data.train.names.index("train/dog/4.png")]
    monkeypatch.chdir(folder)
    for text in (
        "train/a cat/1.png\ntrain/dog/4.png\n",
        "train/dog/4.png\n\n  a cat/1.png  \n",
        f"{folder}/photos/train/a cat/1.png\r\nphotos/train/dog/4.png",
        "./train/x/../a cat/1.png\ndog\\4.png",
        "\ufefftrain/a cat/1.png\ntrain/dog/4.png",
    ):
        assert places(listed(folder, text), data) == wanted, text
    quoted = 'who,path\nme,"train/a cat/1.png"\nme,dog/4.png\n'
    assert places(listed(folder, quoted, "list.csv"), data) == wanted


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("", "list.txt", "the list is empty"),
        ("\n  \n", "list.txt", "the list is empty"),
        ("path\n", "list.csv", "the list is empty"),
        ("file,who\na,b\n", "list.csv", "no column 'path', but: file, who"),
        ("cat/1.png\nzebra/1.png\ndog/1.png", "list.txt", "2 of its paths are not in the data: cat/1.png, zebra/1.png"),
        ("/elsewhere/train/dog/1.png", "list.txt", "1 of its paths are not in the data"),
        ("dog/1.png\ntrain/dog/1.png", "list.txt", "1 of its paths are there more than once: train/dog/1.png"),
        ("dog/1.png\ntest/dog/1.png", "list.txt", "1 of its paths are test images.*: test/dog/1.png"),
        (
            "".join(f"dog/{one}.png\n" for one in range(COUNT)),
            "list.txt",
            "all of the class 'dog' and nothing else; write class:dog",
        ),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(folder: Path, text: str, name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as error:
        places(listed(folder, text, name), load(folder))
    assert "\n" not in str(error.value)


def test_a_list_that_cannot_be_read_is_told_before_the_data_are(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    for path, words in (
        (tmp_path / "no.txt", "No such file"),
        (tmp_path, "Is a dir"),
        (tmp_path / "photo.jpg", "no text"),
    ):
        with pytest.raises(ValueError, match=words):
            check_scenario(f"files:{path}")


def test_the_digest_is_what_sha256sum_says(folder: Path) -> None:
    """By hand, from the files alone: `sha256sum` prints hash, two blanks and name; its lines, by name, are hashed."""
    data = load(folder)
    names = ["train/dog/4.png", "train/a cat/1.png"]
    forget = torch.tensor([data.train.names.index(name) for name in names])
    lines = [
        f"{hashlib.sha256((folder / 'photos' / name).read_bytes()).hexdigest()}  {name}\n" for name in sorted(names)
    ]
    said = erased(data, forget, target=50.0)
    assert said.digest == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert (said.samples, said.of, said.target) == (2, 2 * COUNT, 50.0)
    assert [one.name for one in samples(data, forget)] == sorted(names)


def test_the_digest_does_not_depend_on_the_image_size(folder: Path) -> None:
    digits = [library()("digits", size) for size in (8, 16)]
    photos = [load(folder, size) for size in (8, 16)]
    for small, large in (digits, photos):
        assert small.fingerprint != large.fingerprint
        forget = torch.tensor([1, 3])
        assert digest(samples(small, forget)) == digest(samples(large, forget))
        assert digest(samples(small, forget)) != digest(samples(small, torch.tensor([1, 4])))


def test_data_without_files_are_called_by_their_places(tmp_path: Path) -> None:
    data = library()("digits", 8)
    assert places(listed(tmp_path, "train/00007\n00003"), data) == [3, 7]


def test_a_list_is_split_off_and_everything_is_tested_on(folder: Path) -> None:
    data = load(folder)
    parts = split(data, f"files:{listed(folder, 'dog/1.png')}", seed=5)
    assert [data.train.names[place] for place in parts.forget] == ["train/dog/1.png"]
    assert len(parts.retain) == 2 * COUNT - 1
    assert len(parts.test) == len(parts.unseen) == 2 * COUNT
    assert parts.forgotten_class is None


@pytest.mark.parametrize(
    ("scenario", "count"), [("random:5", 5), ("random:1", 1), ("random:0.5", 6), ("random:0.01", 1)]
)
def test_a_number_or_a_share_is_drawn_by_the_seed(folder: Path, scenario: str, count: int) -> None:
    data = load(folder)
    first, again, other = (set(split(data, scenario, seed).forget.tolist()) for seed in (1, 1, 2))
    assert len(first) == count
    assert first == again
    assert count == 1 or first != other


def test_more_than_a_class_may_be_asked_for(folder: Path) -> None:
    data = load(folder)
    more = [*(f"dog/{one}.png" for one in range(COUNT)), "a cat/0.png"]
    assert len(places(listed(folder, "\n".join(more)), data)) == COUNT + 1


def test_a_list_may_come_with_the_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside its profiles, for whoever has none of that name where the command is run."""
    monkeypatch.chdir(tmp_path)
    ours = read_list(Path("photographs.request.txt"))
    assert len(ours) == 25
    (tmp_path / "photographs.request.txt").write_text("train/cat/1.png\n")
    assert read_list(Path("photographs.request.txt")) == ("train/cat/1.png",)
    with pytest.raises(ValueError, match=r"files:nowhere\.txt: No such file"):
        read_list(Path("nowhere.txt"))


def test_a_list_is_read_as_it_stands(tmp_path: Path) -> None:
    assert read_list(listed(tmp_path, "# no comment.png\nb c.png\n")) == ("# no comment.png", "b c.png")


def test_a_copy_under_another_name_is_not_kept_unnoticed(folder: Path) -> None:
    photos = folder / "photos" / "train"
    (photos / "a cat" / "the same dog.png").write_bytes((photos / "dog" / "2.png").read_bytes())
    data = load(folder)
    with pytest.raises(
        ValueError, match=r"1 of its paths have copies .*: train/dog/2.png is train/a cat/the same dog.png"
    ):
        places(listed(folder, "dog/2.png\ndog/3.png"), data)
    assert len(places(listed(folder, "dog/2.png\na cat/the same dog.png"), data)) == 2
    assert len(places(listed(folder, "dog/3.png"), data)) == 1
