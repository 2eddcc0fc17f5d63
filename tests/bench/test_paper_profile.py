"""The paper profile, which asks for a GPU and CIFAR: one case of each kind, cut short, on a CPU and on small images."""

import json
from pathlib import Path

import pytest
import tomlkit
import torch
from torchvision.utils import save_image

from bench.profiles import PROFILES
from bench.record import read_benchmark_json
from tests.bench.conftest import Here

CLASSES, IMAGES = 4, 12


def write_images(folder: Path) -> None:
    """Classes that differ in their colour, 32x32, with noise."""
    generator = torch.Generator().manual_seed(0)
    for part in ("train", "test"):
        for label in range(CLASSES):
            (folder / part / str(label)).mkdir(parents=True)
            for number in range(IMAGES):
                colour = torch.tensor([label % 2, label // 2, 0.5]).view(3, 1, 1)
                image = 0.8 * colour + 0.2 * torch.rand(3, 32, 32, generator=generator)
                save_image(image, folder / part / str(label) / f"{number}.png")


def cut_short(images: Path) -> str:
    """The profile with those images, one seed, the smallest batch, hardly any training and few steps, on a CPU."""
    profile = tomlkit.parse((PROFILES / "paper.toml").read_text())
    profile.update({"dataset": f"imagefolder:{images}", "devices": ["cpu"], "threads": 1, "timing_s": 0.01})
    profile["step"].update({"batch_sizes": [4], "models": ["resnet18"], "image_size": 8})
    plan = profile["unlearning"][0]
    del plan["dataset"]
    plan.update(
        {"image_size": 8, "batch_sizes": [8], "seeds": [0], "scenarios": ["class:0"], "max_steps": 3, "horizon": 1.0}
    )
    plan["training"].update({"epochs": 4, "batch_size": 8, "lr": 0.02})
    profile["unlearning"] = tomlkit.aot()
    profile["unlearning"].append(plan)
    return tomlkit.dumps(profile)


@pytest.mark.parametrize("model", ["resnet18", "vgg16_bn"])
@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_it_has_both_networks_on_both_data_sets_at_every_batch_size(model: str, dataset: str) -> None:
    plans = tomlkit.parse((PROFILES / "paper.toml").read_text()).unwrap()["unlearning"]
    (plan,) = [plan for plan in plans if (plan["model"], plan["dataset"]) == (model, dataset)]
    assert (min(plan["batch_sizes"]), max(plan["batch_sizes"])) == (32, 512)
    assert {scenario.partition(":")[0] for scenario in plan["scenarios"]} == {"class", "random"}
    assert len(plan["seeds"]) == 5


def test_it_collects_anywhere(here: Here) -> None:
    code, said = here("--profile", "paper", "--collect-only", "-q")
    assert code == 0, said
    assert "test_unlearning[vgg16_bn-cifar100-b512-random:0.1-zo-neggrad-plus-seed4-cuda]" in said


def test_one_case_of_each_kind_runs_at_reduced_length(tmp_path: Path, here: Here) -> None:
    write_images(tmp_path / "images")
    (tmp_path / "short.toml").write_text(cut_short(tmp_path / "images"))
    target = tmp_path / "x.json"
    chosen = "forward or zo-ga-seed or retrain or fo-ga-head-seed"
    options = ["--profile", tmp_path / "short.toml", "-k", chosen, "--no-energy", "--benchmark-disable"]
    code, said = here(*options, f"--benchmark-json={target}", f"--checkpoints={tmp_path}")
    assert code == 0, said
    _, records = read_benchmark_json(target)
    assert {record.kind for record in records} == {"step", "unlearning"}
    for record in records:
        assert record.outcome == "ok", record.notes
        assert record.memory.tensor_peak_bytes > record.model_bytes
    runs = {record.case.method: record for record in records if record.kind == "unlearning"}
    assert set(runs) == {"retrain", "fo-ga-head", "zo-ga"}
    assert runs["retrain"].quality.tow == 1
    assert all(max(run.curve.step) <= 6 for name, run in runs.items() if name != "retrain")
    assert json.loads(target.read_text())["run"]["rules"]["memory_ratio"] == 0.5
