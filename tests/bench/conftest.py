"""Real erasures of a small network that has learned the digits; the suite, run within this process; a small ViT."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn

import bench.run.suite  # noqa: F401  (pytester unloads what a run in this process imports; torch does not survive that)
from bench.base.paths import ROOT
from bench.base.progress import Progress
from bench.erase import example
from bench.erasure.erasure import Erasure, prepare_erasure
from bench.profiles import Profile, Training, UnlearningPlan
from bench.run.materials import Materials
from bench.workloads.datasets import library
from bench.workloads.models import ImageSpec, models

PROFILE = Profile(
    name="test",
    description="",
    dataset="digits",
    devices=["cpu"],
    threads=1,
    country="FRA",
    window_s=1,
    unlearning=[
        UnlearningPlan(
            model="cnn",
            image_size=8,
            batch_sizes=[32],
            scenarios=["class:3", "random:0.1"],
            methods=["retrain"],
            seeds=[0],
            horizon=1,
            max_steps=300,
            training=Training(epochs=3, batch_size=64, lr=0.1),
        )
    ],
)


@models.register("small-vit")
def small_vit(spec: ImageSpec) -> nn.Module:
    """Torchvision's vision transformer with 3 layers of width 64, in the place of 340 MB of weights."""
    model = torchvision.models.VisionTransformer(
        spec.size, patch_size=16, num_layers=3, num_heads=4, hidden_dim=64, mlp_dim=128, num_classes=spec.classes
    )
    model.conv_proj = nn.Conv2d(spec.channels, 64, 16, stride=16)
    return model


@pytest.fixture(scope="session")
def erasure_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Erasure]:
    """The erasure of a scenario, "class:3" or "random:0.1"; its arm is for the test to choose."""
    cases = {case.scenario: case for case in PROFILE.unlearning_cases()}
    checkpoints = tmp_path_factory.mktemp("checkpoints")

    @cache
    def prepare(scenario: str) -> Erasure:
        progress = Progress(total=1)
        erasure = prepare_erasure(cases[scenario], Materials(PROFILE, library(), checkpoints, progress))
        progress.close()
        assert erasure.untrained is None
        return erasure

    return prepare


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos/, model.safetensors and forget.txt."""
    folder = tmp_path_factory.mktemp("own")
    example.make(folder)
    return folder


class Here:
    """Runs the suite in this process, which has imported torch already."""

    def __init__(self, pytester: pytest.Pytester, capfd: pytest.CaptureFixture[str]) -> None:
        self.pytester = pytester
        self.capfd = capfd

    def __call__(self, *arguments: object) -> tuple[int, str]:
        """The exit code, and what was printed."""
        start = ("-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "no:cacheprovider", ROOT / "bench")
        result = self.pytester.runpytest_inprocess(*start, *arguments)
        return int(result.ret), "\n".join([self.capfd.readouterr().out, *result.outlines, *result.errlines])


@pytest.fixture
def here(pytester: pytest.Pytester, capfd: pytest.CaptureFixture[str]) -> Iterator[Here]:
    threads = torch.get_num_threads()
    yield Here(pytester, capfd)
    torch.set_num_threads(threads)
