"""The figures as pictures: drawn anew from the gallery's JSON they look as those beside it, which a person has seen."""

from pathlib import Path

import pytest
from matplotlib.testing.compare import compare_images

from tests.reports.conftest import GALLERY

PICTURES = sorted(path.name for path in (GALLERY / "quick").glob("*.png"))
TOLERANCE = 2  # root mean square over the pixels, of 255; leaving out one arm of a figure is 5 or more


def test_the_gallery_has_all_pictures_and_no_others(quick_report: Path) -> None:
    assert sorted(path.name for path in quick_report.glob("*.png")) == PICTURES


@pytest.mark.parametrize("name", PICTURES)
def test_a_figure_looks_as_in_the_gallery(quick_report: Path, tmp_path: Path, name: str) -> None:
    for which, folder in (("expected", GALLERY / "quick"), ("actual", quick_report)):
        (tmp_path / f"{which}.png").write_bytes((folder / name).read_bytes())
    assert compare_images(str(tmp_path / "expected.png"), str(tmp_path / "actual.png"), TOLERANCE) is None


def test_another_figure_does_not(quick_report: Path, tmp_path: Path) -> None:
    """The tolerance is small enough to tell figures of one size apart."""
    for which, name in (("expected", "memory.png"), ("actual", "memory-process.png")):
        (tmp_path / f"{which}.png").write_bytes((quick_report / name).read_bytes())
    assert compare_images(str(tmp_path / "expected.png"), str(tmp_path / "actual.png"), TOLERANCE) is not None
