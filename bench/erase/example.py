"""Something to try with: `zo-bench example FOLDER` makes what a user brings along, from real digits.

A folder of images, `photos/`; a network that was trained on them elsewhere, here by a plain loop that knows nothing of
the suite, `model.safetensors`; a request, `forget.txt`, that names 25 of the images; and, beside the folder, the
profile `own-model` with its paths.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn import functional as F

from bench.base.atomic_write import write_text
from bench.profiles import read_profile
from bench.workloads.models import ImageSpec, build_model

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CALLED = "zo-bench example"
ASKED = 25
EPOCHS = 12


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code, 2 if something given cannot be used."""
    parser = ArgumentParser(prog=CALLED, description="Make images, a trained model and a request to try with.")
    parser.add_argument("folder", type=Path, help="where they go; the profile goes beside it")
    folder: Path = parser.parse_args(arguments).folder
    profile = folder.with_name(f"{folder.name}.toml")
    try:
        make(folder)
        write_text(profile, read_profile("own-model").replace("own-model/", f"{folder.as_posix()}/"))
    except OSError as error:
        sys.stderr.write(f"{CALLED}: cannot write {error.filename}: {error.strerror}\n")
        return 2
    sys.stdout.write(f"{folder}: photos/, model.safetensors, forget.txt; and {profile}\n")
    return 0


def make(folder: Path) -> None:
    """Write the images, the weights and the request into `folder`; raises OSError."""
    torch.set_num_threads(1)  # more are slower for so small a network
    pixels, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels / 16 * 255).round().to(torch.uint8).reshape(-1, 8, 8)
    train, test = train_test_split(range(len(labels)), test_size=0.2, stratify=labels, random_state=0)
    names = [_write(folder / "photos", "train", images, labels, place) for place in train]
    for place in test:
        _write(folder / "photos", "test", images, labels, place)
    order = torch.tensor([sorted(WORDS).index(word) for word in WORDS])  # as whoever reads class folders numbers them
    learned = images[train].unsqueeze(1).expand(-1, 3, -1, -1).float() / 255
    save_file(_trained((learned - 0.5) / 0.5, order[labels[train]]), folder / "model.safetensors")
    asked = torch.randperm(len(names), generator=torch.Generator().manual_seed(0))[:ASKED]
    (folder / "forget.txt").write_text(
        "".join(f"{names[place]}\n" for place in sorted(asked.tolist())), encoding="utf-8"
    )


def _write(folder: Path, part: str, images: Tensor, labels: list[int], place: int) -> str:
    """Write one image; returns its path in the folder."""
    name = f"{part}/{WORDS[labels[place]]}/{place:04}.png"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(images[place].numpy()).save(folder / name)
    return name


def _trained(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The weights of a small network after some passes over the images."""
    torch.manual_seed(0)
    model = build_model("cnn", ImageSpec(3, 8, len(WORDS)), seed=0)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(labels)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
    return model.state_dict()


if __name__ == "__main__":
    sys.exit(main())
