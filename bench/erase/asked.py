"""What is asked of `python -m bench.erase`: its command line, and the profile that it comes to."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pydantic import ValidationError

from bench.arms.table import methods_for
from bench.base.paths import CHECKPOINTS, called
from bench.base.registry import add_modules_option
from bench.profiles import Profile
from bench.record import first_line
from bench.workloads.datasets import datasets
from zo_core.edge.workstation.state import SAFETENSORS

PREPROCESSING = ("resize", "mean", "std", "interpolation", "transforms", "classes")


def parser() -> ArgumentParser:
    """The command line."""
    given = ArgumentParser(prog=called("erase"), description="Make a trained model forget, and account for it.")
    add_modules_option(given)
    model = given.add_argument_group("the model")
    model.add_argument("--model", required=True, help="its network, by a name that profiles use")
    model.add_argument("--weights", required=True, help="FILE.safetensors, a state dict, or torchvision's by name")
    model.add_argument("--retrained", metavar="FILE", help="weights of a Retrain to be compared with")
    model.add_argument("--out", required=True, type=Path, metavar="FILE.safetensors", help="where the model goes")
    data = given.add_argument_group("the data")
    data.add_argument("--data", required=True, help="a folder of images, a folder a class, or a data set's name")
    data.add_argument("--forget", required=True, metavar="LIST", help="a text or CSV file with paths; or class:K")
    data.add_argument("--image-size", required=True, type=int, metavar="PIXELS", help="height and width for the model")
    data.add_argument("--test-fraction", type=float, metavar="F", help="to hold out of a folder without test/")
    data.add_argument(
        "--resize", type=int, nargs="+", metavar="PIXELS", help="of the shorter side, or height and width"
    )
    data.add_argument("--mean", type=float, nargs="+", metavar="M", help="of each channel, in [0, 1]")
    data.add_argument("--std", type=float, nargs="+", metavar="S", help="of each channel")
    data.add_argument("--interpolation", choices=["nearest", "bilinear", "bicubic"], help="default: bilinear")
    data.add_argument("--transforms", choices=["weights"], help="as torchvision's weights have it")
    data.add_argument("--classes", nargs="+", metavar="NAME", help="in the order of the model's outputs, if not sorted")
    data.add_argument("--skip-unreadable", action="store_true", help="go on without files that cannot be read")
    data.add_argument("--data-root", type=Path, metavar="DIR", help="what --data counts from")
    data.add_argument("--download", action="store_true", help="fetch torchvision's weights or data set")
    arm = given.add_argument_group("the erasure")
    arm.add_argument("--method", default="zo-ga", metavar="ARM", help=f"of {', '.join(methods_for('unlearning'))}")
    arm.add_argument("--lr", type=float, metavar="RATE", help="default: found by a search on other samples")
    arm.add_argument("--eps", type=float, default=1e-3, help="size of the perturbation; default: 1e-3")
    arm.add_argument("--batch-size", type=int, default=8, metavar="N", help="samples a step; default: 8")
    arm.add_argument("--max-steps", type=int, default=1000, metavar="N", help="give up there; default: 1000")
    arm.add_argument("--target-accuracy", metavar="PERCENT", help="where it is complete; default: test, or chance")
    arm.add_argument("--retain-evaluated", type=int, default=1000, metavar="N", help="kept samples that are looked at")
    arm.add_argument("--seed", type=int, default=0, help="default: 0")
    machine = given.add_argument_group("the machine")
    machine.add_argument("--device", default="cpu", choices=["cpu", "cuda", "mps", "xpu"], help="default: cpu")
    machine.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32", help="of the passes")
    machine.add_argument("--threads", type=int, default=1, metavar="N", help="of the CPU; default: 1")
    machine.add_argument("--country", default="USA", metavar="ISO3", help="grid for the emissions; default: USA")
    machine.add_argument("--no-energy", action="store_true", help="do not meter energy")
    machine.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="a cache")
    return given


def profile_of(options: Namespace) -> Profile:
    """The profile of the one erasure, without a learning rate yet.

    Raises:
        ValueError: something given cannot be used.
    """
    if options.out.suffix != SAFETENSORS:
        raise ValueError(f"--out {options.out}: the model is written as safetensors; give FILE{SAFETENSORS}")
    of_a_class = options.forget.startswith("class:")
    known = options.data.partition(":")[0] in datasets
    resize = {"resize": options.resize[0] if len(options.resize) == 1 else options.resize} if options.resize else {}
    data = {name: value for name in PREPROCESSING if (value := getattr(options, name)) is not None} | resize
    plan = {
        "model": options.model,
        "weights": options.weights,
        "retrain": options.retrained is not None,
        "image_size": options.image_size,
        "batch_sizes": [options.batch_size],
        "dtype": options.dtype,
        "scenarios": [options.forget if of_a_class else f"files:{options.forget.removeprefix('files:')}"],
        "methods": [options.method],
        "seeds": [options.seed],
        "horizon": 0.0,
        "max_steps": options.max_steps,
        "resolution": 1.1,
        "retain_evaluated": options.retain_evaluated,
    }
    target = options.target_accuracy or (None if of_a_class else "test")
    optional = {"retrained": options.retrained, "target_accuracy": _number(target)}
    top = {
        "name": options.out.stem,
        "description": f"{options.method} is to make {options.weights} forget {options.forget}",
        "dataset": options.data if known else f"imagefolder:{options.data}",
        "devices": [options.device],
        "threads": options.threads,
        "country": options.country,
        "window_s": 1.0,
        "data": data | ({"skip_unreadable": True} if options.skip_unreadable else {}),
        "unlearning": [plan | {name: value for name, value in optional.items() if value is not None}],
    }
    try:
        share = {} if options.test_fraction is None else {"test_fraction": options.test_fraction}
        return Profile.model_validate(top | share)
    except ValidationError as error:
        raise ValueError(first_line(error)) from None


def check_out(options: Namespace) -> None:
    """Raise ValueError if what is to be written would take the place of a model that is read, or lie among the images.

    Profiles and figures in the data folder would be images, and a class, to the next run.
    """
    out, data = options.out.resolve(), ((options.data_root or Path()) / options.data).resolve()
    for given in filter(None, (options.weights, options.retrained)):
        if out == Path(given).resolve():
            raise ValueError(f"--out {options.out} is a model that is read, which would be gone: give another name")
    if data in (out.with_suffix(""), *out.parents):
        raise ValueError(f"--out {options.out}: it and its report would lie among the images in {options.data}")


def _number(target: str | None) -> float | str | None:
    """The target as the profile has it; what is neither a number nor a word it knows is for the profile to refuse."""
    try:
        return None if target is None else float(target)
    except ValueError:
        return target
