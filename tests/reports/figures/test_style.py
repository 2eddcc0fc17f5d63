"""An arm looks the same everywhere, and as no other."""

from reports.data.arms import KNOWN
from reports.figures import style


def test_an_arm_looks_the_same_in_every_figure() -> None:
    alone, among = style.arm_style(["zo-ga"]), style.arm_style(["a-new-arm", "fo-ga", "zo-ga"])
    for look in ("palette", "markers", "dashes"):
        assert getattr(alone, look)["zo-ga"] == getattr(among, look)["zo-ga"]
        assert len(set(getattr(among, look).values())) == 3


def test_every_known_arm_has_a_look_of_its_own() -> None:
    look = style.arm_style(KNOWN)
    assert len({(look.palette[name], look.markers[name], look.dashes[name]) for name in KNOWN}) == len(KNOWN)
