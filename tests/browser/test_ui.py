"""From a dropped file to a prediction in a real browser, with the drawing measured in the page."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from exchangeai.leads import STANDARD_12
from exchangeai.testing.models import synthetic_window
from services.local import Platform

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

NOTICE = "Research use only, not a medical device"

# The pulse is the last trace but one; the lines' pixels come from the drawn SVG path itself.
MEASURE = """() => {
  const plot = document.querySelector('#ecg .js-plotly-plot');
  const full = plot._fullLayout;
  const index = plot.data.findIndex(t => t.name === 'calibration');
  const group = plot.querySelectorAll('.scatterlayer .trace')[index];
  const paths = Array.from(group.querySelectorAll('.js-line')).map(p => p.getAttribute('d'));
  return {
    px_per_s: full.xaxis._length / (full.xaxis.range[1] - full.xaxis.range[0]),
    px_per_mv: full.yaxis._length / (full.yaxis.range[1] - full.yaxis.range[0]),
    pulse: paths[0].slice(1),
    pulses: paths.length,
    labels: Array.from(plot.querySelectorAll('.annotation-text')).map(t => t.textContent),
    width: plot.querySelector('.main-svg').getBoundingClientRect().width,
    traces: plot.data.length - 2,
  };
}"""


def corners(path: str) -> list[tuple[float, float]]:
    """Points of an SVG path of absolute M, L, H and V."""
    points: list[tuple[float, float]] = []
    x = y = 0.0
    for token in path.replace("L", " L").replace("H", " H").replace("V", " V").split():
        if token[0] == "H":
            x = float(token[1:])
        elif token[0] == "V":
            y = float(token[1:])
        else:
            x, y = (float(v) for v in token.lstrip("L").split(","))
        points.append((x, y))
    return points


def drop_csv(page: Page, platform: Platform, path: Path) -> None:
    """Drop a file that does not state its rate, then state it."""
    page.goto(platform.ui_url)
    page.locator("#drop input[type=file]").set_input_files(str(path))
    expect(page.locator("#stating")).to_be_visible()
    page.fill("#stated-rate", "500")
    page.click("#stated-unit")
    page.get_by_role("option", name="mV", exact=True).click()
    page.click("#state-it")
    expect(page.locator("#ecg .scatterlayer .trace").first).to_be_visible()


def test_upload_is_drawn_to_scale_and_predicted(
    page: Page, platform: Platform, csv_ecg: Path, tiny: str, asked: list[str]
) -> None:
    drop_csv(page, platform, csv_ecg)
    for layout, rows in (("3×4+1", 4), ("12×1", 12)):
        page.get_by_text(layout, exact=True).click()
        expect(page.locator("#ecg .annotation-text")).to_have_count(12 if rows == 12 else 13)
        drawn: dict[str, Any] = page.evaluate(MEASURE)
        assert drawn["px_per_s"] == pytest.approx(100)
        assert drawn["px_per_mv"] == pytest.approx(40)
        assert drawn["width"] == 1080
        assert drawn["pulses"] == rows
        assert set(STANDARD_12) <= set(drawn["labels"])
        points = corners(drawn["pulse"])
        steps = [(round(b[0] - a[0], 1), round(b[1] - a[1], 1)) for a, b in pairwise(points)]
        # 10 mm up, 5 mm across, 10 mm down at 4 px a mm; each edge moves along one axis only.
        assert steps == [(8, 0), (0, -40), (20, 0), (0, 40), (8, 0)]
    expect(page.locator("#heart-rate")).to_have_text("75")
    # Other tests publish models too, so ours is chosen by name.
    page.click("#model")
    page.get_by_role("option", name=re.compile(re.escape(tiny))).click()
    page.click("#predict")
    expect(page.locator(".finding")).to_have_count(5)
    expect(page.locator(".finding-verdict").first).to_contain_text("threshold")
    expect(page.locator("#provenance")).to_contain_text(tiny)
    origin = urlsplit(platform.ui_url).netloc
    foreign = [u for u in asked if urlsplit(u).scheme in ("http", "https") and urlsplit(u).netloc != origin]
    assert foreign == []


DRAWN = "() => document.querySelector('#ecg .js-plotly-plot').data[0].y.bdata"


def test_a_display_filter_changes_the_tracing_and_nothing_else(
    page: Page, platform: Platform, tiny: str, tmp_path: Path
) -> None:
    own = tmp_path / "looked-at.csv"  # a file that is known already would not ask for its rate again
    noisy = synthetic_window(seed=11) + np.random.default_rng(11).normal(0, 0.02, (12, 5000))
    np.savetxt(own, noisy.T, fmt="%.4f", delimiter=",", header=",".join(STANDARD_12), comments="")
    drop_csv(page, platform, own)
    footer, told = page.locator("#paper-footer"), page.locator("#measured")
    expect(footer).to_contain_text("Filter: 0.05–150 Hz")
    expect(page.locator("#acceptable")).to_contain_text("%")
    expect(page.locator("#lead-flags")).to_be_visible()
    page.click("#model")
    page.get_by_role("option", name=re.compile(re.escape(tiny))).click()
    page.click("#predict")
    expect(page.locator(".finding")).to_have_count(5)
    measured, found = told.inner_text(), page.locator(".finding-value").all_inner_texts()
    drawn = {page.evaluate(DRAWN)}
    for label, words in (("0.5–40 Hz", "Filter: 0.5–40 Hz"), ("No filter", "Filter: none")):
        page.click("#paper-filter")
        page.get_by_role("option", name=label, exact=True).click()
        expect(footer).to_contain_text(words)
        drawn.add(page.evaluate(DRAWN))
        assert told.inner_text() == measured
        page.click("#predict")
        expect(page.locator(".finding")).to_have_count(5)
        expect(page.locator(".finding-value")).to_have_text(found)
    assert len(drawn) == 3


def test_unreadable_file_stays_listed_with_its_reason(page: Page, platform: Platform, tmp_path: Path) -> None:
    text = tmp_path / "letter.dcm"
    text.write_text("Dear colleague, this is no ECG.")
    page.goto(platform.ui_url)
    page.locator("#drop input[type=file]").set_input_files(str(text))
    item = page.locator(".worklist-item", has_text="letter.dcm")
    expect(item).to_contain_text("unreadable")
    expect(page.locator(".problem")).to_contain_text("could not be read")
    page.reload()
    expect(page.locator(".worklist-item", has_text="letter.dcm")).to_contain_text("unreadable")


@pytest.mark.parametrize("address", ["/", "/analyse", "/fine-tune"])
@pytest.mark.parametrize("width", [1280, 1920])
def test_each_page_says_what_it_is_for_in_light_and_dark(
    page: Page, platform: Platform, address: str, width: int, tmp_path: Path
) -> None:
    trouble: list[str] = []
    page.on("console", lambda m: trouble.append(m.text) if m.type == "error" else None)
    page.set_viewport_size({"width": width, "height": 1000})
    answer = page.goto(platform.ui_url + address)
    assert answer is not None
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    expect(page.get_by_text(NOTICE)).to_be_visible()
    expect(page.locator("#worklist, #runs").first).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "en"
    page.screenshot(path=str(tmp_path / "light.png"))
    page.get_by_label("Dark").check(force=True)
    expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    page.screenshot(path=str(tmp_path / "dark.png"))
    assert trouble == []


def test_an_address_without_a_page_says_so(page: Page, platform: Platform) -> None:
    page.goto(platform.ui_url + "/analysed")
    expect(page.get_by_text("There is no such page")).to_be_visible()
    page.get_by_role("link", name="Models").click()
    expect(page.locator("#page-models")).to_be_visible()
