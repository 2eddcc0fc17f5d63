"""Networks, data and settings as people call them."""

import pytest

from reports.data.words import spoken
from tests.reports.conftest import PartOf, changed, unlearning_record


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet20", "ResNet-20"),
        ("vgg16_bn onnxruntime", "VGG-16-BN on ONNX Runtime"),
        ("vit_b_16 bfloat16", "ViT-B/16 bfloat16"),
        ("cnn", "small CNN"),
        ("cnn2", "cnn2"),
        ("timm:resnet18", "timm:resnet18"),
    ],
)
def test_known_networks_have_their_names_and_others_stay(name: str, said: str) -> None:
    assert spoken.network(name) == said


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("imagefolder:cifar10", "CIFAR-10 photographs"),
        ("imagefolder:/some/where/holiday", "images in holiday"),
        ("digits", "handwritten digits"),
        ("mine", "mine"),
    ],
)
def test_a_data_set_is_named(name: str, said: str) -> None:
    assert spoken.data(name) == said


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("class:0", "forget class airplane"),
        ("random:0.1", "forget a random tenth"),
        ("random:1200", "forget 1,200 at random"),
        ("files:lists/ours.txt", "forget the files of ours.txt"),
    ],
)
def test_a_request_says_what_is_to_be_forgotten(scenario: str, said: str) -> None:
    assert spoken.request(scenario, "airplane") == said


def test_settings_that_differ_in_the_batch_alone_say_it(part_of: PartOf) -> None:
    records = [changed(unlearning_record("zo-ga", 0), "case.batch_size", batch) for batch in (4, 8)]
    records.append(changed(unlearning_record("zo-ga", 0), "case.model", "resnet20"))
    assert part_of(records).spoken == {
        "cnn digits b4 class:3": "handwritten digits, small CNN, forget class 3, batch 4",
        "cnn digits b8 class:3": "handwritten digits, small CNN, forget class 3, batch 8",
        "resnet20 digits b4 class:3": "handwritten digits, ResNet-20, forget class 3",
    }
