"""A Retrain from a file that has seen what is to be forgotten: planted, and told."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bench.erasure.erasure import Erasure
from bench.record import ModelFile, Origins

FILE = Origins(retrained=ModelFile(name="retrained.safetensors", sha256="0" * 64))


@pytest.fixture
def overfitted(erasure_of: Callable[[str], Erasure]) -> Erasure:
    """Retrain by a file, on noise for test data: whoever learned by heart is right on what was learned alone."""
    erasure = erasure_of("random:0.1")
    noise = torch.randn(erasure.data.test.images.shape, generator=torch.Generator().manual_seed(0))
    data = replace(erasure.data, test=replace(erasure.data.test, images=noise))
    evaluate = type(erasure.evaluate)(data, erasure.split, erasure.original)
    return replace(erasure, data=data, evaluate=evaluate, origins=FILE)


def test_one_that_has_seen_the_forget_set_is_told(overfitted: Erasure) -> None:
    planted = replace(overfitted, retrained=overfitted.evaluate(overfitted.original))
    assert planted.retrained is not None
    assert planted.doubt is not None
    assert f"right on {planted.retrained.forget_accuracy:.1f} % of the forget set" in planted.doubt


def test_one_that_is_no_surer_of_them_than_of_test_data_is_not(overfitted: Erasure) -> None:
    seen = overfitted.evaluate(overfitted.original)
    honest = replace(overfitted, retrained=replace(seen, forget_accuracy=seen.test_accuracy + 1))
    assert honest.doubt is None


def test_nor_is_one_that_the_suite_trained(overfitted: Erasure) -> None:
    trained = replace(overfitted, retrained=overfitted.evaluate(overfitted.original), origins=Origins())
    assert trained.doubt is None
