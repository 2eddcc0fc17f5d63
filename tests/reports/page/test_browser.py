"""The page in a real browser: nothing is fetched, nothing complains, nothing overflows, and it prints."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reports.data.load import load
from reports.page.write import write_report
from tests.reports.conftest import GALLERY, full_set, stable

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed here")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")
WIDTHS = (320, 390, 1440)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def report(quick_report: Path) -> Path:
    return quick_report / "index.html"


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_stands_alone_and_nothing_overflows(browser, report: Path, width: int, scheme: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    assert said == []
    assert asked == [report.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    shown = page.locator("figure svg").evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
    assert len(shown) > 10
    assert min(shown) > 100
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ink_and_ground_of_the_figures_are_the_pages(browser, report: Path, scheme: str) -> None:
    """The ink is dark on light or light on dark, in the words and in the drawings."""
    page = browser.new_page(color_scheme=scheme)
    page.goto(report.as_uri())
    style = "getComputedStyle(document.querySelector('{}')).{}"
    ground = page.evaluate(style.format("body", "backgroundColor"))
    ink = page.evaluate(style.format("body", "color"))
    drawn = page.evaluate(style.format("figure svg", "fill"))
    assert drawn == ink
    assert (brightness(ink) < brightness(ground)) is (scheme == "light")
    assert abs(brightness(ink) - brightness(ground)) > 150
    page.close()


# Of every text, what it is drawn in and on, and whether it is large, as WCAG 2.2 (1.4.3) has it.
TEXTS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const one = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || one.closest('script, style') || !one.checkVisibility()) continue;
    const style = getComputedStyle(one);
    let ground = one;
    while (ground && getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
    const size = parseFloat(style.fontSize);
    found.push([
      one.closest('svg') ? style.fill : style.color,
      getComputedStyle(ground).backgroundColor,
      size >= 24 || (size >= 18.66 && parseInt(style.fontWeight) >= 700),
      walker.currentNode.data,
    ]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(browser, report: Path, scheme: str) -> None:
    """Also those in the figures, and what is behind a click."""
    page = browser.new_page(color_scheme=scheme)
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    texts = page.evaluate(TEXTS)
    assert len(texts) > 1000
    low = {(ink, ground, text) for ink, ground, large, text in texts if contrast(ink, ground) < (3 if large else 4.5)}
    assert low == set()
    page.close()


def contrast(*colors: str) -> float:
    """Of two like "rgb(r, g, b)", from 1 to 21, as WCAG 2.2 defines it."""
    dark, light = sorted(map(luminance, colors))
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    shares = (float(channel) / 255 for channel in color.removeprefix("rgb(").removesuffix(")").split(","))
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.005)  # its #777777


def test_everything_is_reached_by_the_keyboard_alone_and_shows_that_it_is(browser, report: Path) -> None:
    """In the order of the page; a term tells what it means, and what is behind a click opens."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(report.as_uri())
    what = "a[href], summary, [role=button], [tabindex='0']"
    wanted = page.locator(what).evaluate_all("all => all.filter(one => one.checkVisibility()).length")
    assert wanted > 30
    place = "(what) => [...document.querySelectorAll(what)].indexOf(document.activeElement)"
    places = []
    for _ in range(wanted):
        page.keyboard.press("Tab")
        places.append(page.evaluate(place, what))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        tip = page.evaluate("getComputedStyle(document.activeElement, '::after').content")
        assert outline != "none" or tip != "none", page.evaluate("document.activeElement.outerHTML")[:200]
    assert -1 not in places
    assert places == sorted(set(places))
    behind = page.locator("details").first
    behind.locator("summary").focus()
    page.keyboard.press("Enter")
    assert behind.evaluate("one => one.open")
    page.close()


def test_a_request_is_one_printed_page(browser) -> None:
    """Of the run with most settings."""
    page = browser.new_page(viewport={"width": 1030, "height": 700})
    page.goto((GALLERY / "digits" / "index.html").as_uri())
    page.emulate_media(media="print")
    heights = page.locator(".sheet").evaluate_all("all => all.map(one => one.getBoundingClientRect().height)")
    assert len(heights) > 1
    assert max(heights) < 700  # A4 landscape less its margins, in CSS pixels
    page.close()


def brightness(color: str) -> float:
    """The mean of "rgb(r, g, b)"."""
    channels = color.removeprefix("rgb(").removesuffix(")").split(",")
    return sum(map(float, channels)) / 3


def test_a_click_on_a_head_sorts_its_table_by_number(browser, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    table = page.locator("table", has=page.locator("th", has_text="zo-ga over two forwards")).last
    batch = table.locator("thead th").nth(0)
    assert table.locator("tbody").count() == 3
    for body in table.locator("tbody").all():
        model = body.locator(".group").inner_text()
        cells = body.locator("td:first-child")
        before = cells.all_inner_texts()
        for state, key in (("ascending", int), ("descending", lambda text: -int(text))):
            batch.locator("[role=button]").press("Enter")
            assert batch.get_attribute("aria-sort") == state
            assert cells.all_inner_texts() == sorted(before, key=key)
        assert body.locator("tr").first.inner_text() == model
    energy = page.locator("table", has=page.locator("th", has_text="SCI, mg CO2e")).last
    energy.locator("thead th").nth(2).locator("[role=button]").click()
    for body in energy.locator("tbody").all():
        texts = body.locator("td:nth-child(3)").all_inner_texts()
        joules = [float(text.split()[0].replace(",", "")) for text in texts]
        assert len(joules) > 3
        assert joules == sorted(joules)
    page.close()


def test_it_reads_without_a_script(browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    text = page.inner_text("body")
    order = ["In short", "The claims", "Single steps", "Whole erasures", "Sustainability statement", "Method", "Limits"]
    places = [text.rindex(f"\n{title}") for title in order]
    assert places == sorted(places)
    context.close()


def test_it_prints(browser, report: Path) -> None:
    page = browser.new_page()
    page.goto(report.as_uri())
    printed = page.pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 1030, "height": 700})  # A4 landscape less its margins, in CSS pixels
    assert page.evaluate("document.documentElement.scrollWidth") <= 1030
    page.close()


def test_no_printed_figure_is_taller_than_a_page(browser) -> None:
    """Also those of the run with the most arms, which on a screen are."""
    page = browser.new_page(viewport={"width": 1030, "height": 700})
    page.goto((GALLERY / "digits" / "index.html").as_uri())
    heights = "all => all.map(one => one.getBoundingClientRect().height)"
    assert max(page.locator("figure").evaluate_all(heights)) > 700
    page.emulate_media(media="print")
    assert max(page.locator("figure").evaluate_all(heights)) < 700  # A4 landscape less its margins, in CSS pixels
    page.close()


def test_what_comes_from_the_data_is_no_markup(browser, write_json: Callable[..., Path], tmp_path: Path) -> None:
    """Names that would be an element, an attribute or a script are text."""
    evil = "<img src=x onerror=alert(1)>\"'><script>alert(2)</script>"
    records = [stable(one, collapse=1.0, collapsed=True) if one.kind == "unlearning" else one for one in full_set()]
    renamed = [
        one.model_copy(update={"case": one.case.model_copy(update={"model": one.case.model + evil})}) for one in records
    ]
    write_report(load([write_json(renamed, processor=evil)]), tmp_path / "out")
    page = browser.new_page()
    said: list[str] = []
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto((tmp_path / "out" / "index.html").as_uri())
    assert said == []
    assert page.locator("img").count() == 0
    assert evil in page.inner_text("body")
    page.close()
