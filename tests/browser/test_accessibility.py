"""No page, in light or dark, breaks a rule of axe-core (WCAG 2.2 A and AA, and Deque's best practices)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from services.local import Platform

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

TURN = """dark => {
  const box = document.querySelector('#dark-switch');
  if (box.checked !== dark) box.click();
}"""
GLIDED = """() => Promise.allSettled(document.getAnimations()
  .filter(a => a.effect.getComputedTiming().iterations !== Infinity).map(a => a.finished))"""


def broken(page: Page) -> list[str]:
    """What breaks a rule in either colour scheme, each with the element and the reason."""
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    found: list[str] = []
    for dark in (True, False):
        scheme = "dark" if dark else "light"
        # Not by a click: while a question is open, what is behind it cannot be clicked.
        page.evaluate(TURN, dark)
        expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
        # Colours glide for a moment, and half-way they have the contrast of neither scheme.
        page.evaluate(GLIDED)
        result: dict[str, Any] = Axe().run(page).response
        found += [
            f"{scheme}: {rule['impact']} {rule['id']}: {node['html'][:160]}: {node.get('failureSummary')}"
            for rule in result["violations"]
            for node in rule["nodes"]
        ]
    return found


@pytest.mark.parametrize(
    ("address", "there"),
    [
        ("/fine-tune", ".choice"),
        ("/compare", ".choice"),
        ("/models", "#serving-list .panel"),
        ("/nowhere", ".empty"),
    ],
)
def test_a_page_as_it_opens(page: Page, platform: Platform, tiny: str, address: str, there: str) -> None:
    page.goto(platform.ui_url + address)
    expect(page.locator(there).first).to_be_visible()
    assert broken(page) == []


def test_an_ecg_that_is_stated_drawn_and_predicted(
    page: Page, platform: Platform, csv_ecg: Path, tiny: str, tmp_path: Path
) -> None:
    letter = tmp_path / "a-letter.dcm"
    letter.write_text("Dear colleague, this is no ECG either.")
    own = tmp_path / "own.csv"  # what is known already would not ask for its rate
    own.write_text(csv_ecg.read_text().replace("\n", "\n0,0,0,0,0,0,0,0,0,0,0,0\n", 1))
    page.goto(platform.ui_url)
    page.locator("#drop input[type=file]").set_input_files([str(letter), str(own)])
    expect(page.locator("#stating")).to_be_visible()
    assert broken(page) == []
    page.fill("#stated-rate", "500")
    page.click("#stated-unit")
    page.get_by_role("option", name="mV", exact=True).click()
    page.click("#state-it")
    expect(page.locator("#ecg .scatterlayer .trace").first).to_be_visible()
    page.click("#model")
    page.get_by_role("option", name=re.compile(re.escape(tiny))).click()
    page.click("#predict")
    expect(page.locator(".finding").first).to_be_visible()
    assert broken(page) == []


def test_a_question_and_what_is_wrong_with_its_answer(page: Page, platform: Platform, tiny: str) -> None:
    page.goto(platform.ui_url + "/models")
    page.locator("#serving-list button").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.click("#serving-confirm")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
    assert broken(page) == []
