"""ZOSGD against SPSA as it is written on paper, over whatever groups, shapes, dtypes and ties hypothesis thinks of."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from zo_core import ZOSGD, Noise
from zo_core.noise import NOISES


@dataclass(frozen=True)
class Spec:
    """A parameter: `tied` lies in the memory of the parameter before it, if there is one."""

    shape: tuple[int, ...]
    dtype: torch.dtype
    frozen: bool
    tied: bool


specs = st.builds(
    Spec,
    shape=st.lists(st.integers(0, 5), max_size=3).map(tuple),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    frozen=st.booleans(),
    tied=st.booleans(),
)
groups = st.fixed_dictionaries(
    {
        "specs": st.lists(specs, min_size=1, max_size=4),
        "lr": st.sampled_from([0.0, 1e-2, 0.1]),
        "eps": st.sampled_from([1e-3, 1e-2]),
        "clip": st.sampled_from([None, 0.5]),
        "maximize": st.booleans(),
    }
)


def build(spec: Spec, before: nn.Parameter | None, generator: torch.Generator) -> nn.Parameter:
    if spec.tied and before is not None:
        return nn.Parameter(before.data, requires_grad=before.requires_grad)
    values = torch.randn(spec.shape, generator=generator, dtype=torch.float64).to(spec.dtype)
    return nn.Parameter(values, requires_grad=not spec.frozen)


def model_of(drawn: list[dict[str, Any]]) -> list[dict[str, Any]]:
    generator, built = torch.Generator().manual_seed(0), []
    for group in drawn:
        parameters: list[nn.Parameter] = []
        for spec in group["specs"]:
            parameters.append(build(spec, parameters[-1] if parameters else None, generator))
        built.append({"params": parameters} | {name: value for name, value in group.items() if name != "specs"})
    return built


def loss_of(values: list[torch.Tensor]) -> float:
    """A cubic in every element, so that one-sided and two-sided differences differ."""
    total = 0.0
    for place, value in enumerate(values):
        flat = value.detach().double().view(-1)
        total += (torch.cos(torch.arange(len(flat)) + place) * flat + flat.square() / 2 + flat**3 / 6).sum().item()
    return total


def on_paper(built: list[dict[str, Any]], noise: Noise, queries: int, two_sided: bool) -> list[torch.Tensor]:
    """One step of SPSA out of place, in float64, with z as the noise has it for one chunk a parameter."""
    everything = [parameter for group in built for parameter in group["params"]]
    start = [parameter.detach().double().clone() for parameter in everything]
    moves = [torch.zeros_like(value) for value in start]
    for query in range(queries):
        z = directions(built, noise, query)
        eps = [group["eps"] for group in built for _ in group["params"]]
        ahead = loss_of([value + e * along for value, e, along in zip(start, eps, z, strict=True)])
        behind = loss_of([value - e * along for value, e, along in zip(start, eps, z, strict=True)])
        rise = (ahead - behind) / 2 if two_sided else ahead - loss_of(start)
        place = 0
        for group in built:
            slope, clip = rise / group["eps"], group["clip"] or math.inf
            slope = max(-clip, min(clip, slope)) * (1 if group["maximize"] else -1)
            for _ in group["params"]:
                moves[place] += group["lr"] * slope * z[place] / queries
                place += 1
    return [value + move for value, move in zip(start, moves, strict=True)]


def directions(built: list[dict[str, Any]], noise: Noise, query: int) -> list[torch.Tensor]:
    """z for every parameter: 0 where frozen, that of the first for those in the same memory."""
    result = []
    for index, group in enumerate(built):
        by_memory: dict[int, torch.Tensor] = {}
        for parameter in group["params"]:
            if parameter.requires_grad and parameter.numel() and parameter.data_ptr() not in by_memory:
                by_memory[parameter.data_ptr()] = torch.zeros(parameter.numel(), dtype=parameter.dtype)
        if by_memory:
            noise.direction(list(by_memory.values()), 0, query, index)(1.0)
        zero = torch.zeros(0, dtype=torch.float64)
        for parameter in group["params"]:
            z = by_memory.get(parameter.data_ptr(), zero if parameter.numel() == 0 else torch.zeros(parameter.numel()))
            result.append(z.double().view(parameter.shape))
    return result


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    drawn=st.lists(groups, min_size=1, max_size=3),
    queries=st.integers(1, 3),
    two_sided=st.booleans(),
    noise=st.sampled_from(list(NOISES)),
    seed=st.integers(0, 2**63 - 1),
)
def test_a_step_is_what_the_paper_says(
    drawn: list[dict[str, Any]], queries: int, two_sided: bool, noise: str, seed: int
) -> None:
    """Every parameter is where the formula puts it; frozen ones to the bit.

    float32 parameters are off the line by up to 2^-24 of their size, so that the slope is off by that, summed over up
    to a thousand elements and divided by eps = 1e-3: below 1e-2 of the step's own size with room to spare.
    """
    built = model_of(drawn)
    parameters = [parameter for group in built for parameter in group["params"]]
    start = [parameter.detach().clone() for parameter in parameters]
    expected = on_paper(built, NOISES[noise](seed, 0), queries, two_sided)
    optimizer = ZOSGD(built, lr=1.0, queries=queries, two_sided=two_sided, noise=noise, seed=seed)
    optimizer.step(lambda: loss_of(parameters))
    for now, then, wanted in zip(parameters, start, expected, strict=True):
        if now.requires_grad:
            size = (wanted - then.double()).abs().max().item() if now.numel() else 0.0
            assert torch.allclose(now.detach().double(), wanted, rtol=0, atol=1e-2 * size + 1e-5)
        else:
            assert torch.equal(now, then)
