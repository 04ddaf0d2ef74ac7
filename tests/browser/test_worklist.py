"""Files of other formats, stepping by keys, paging, and names for every field."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from exchangeai.testing.models import synthetic_window
from services.local import Platform

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

FORMATS = Path(__file__).parents[1] / "golden" / "formats"
NAMELESS = """() => Array.from(
    document.querySelectorAll('input, select, textarea, button, [role=progressbar]'))
  .filter(e => e.type !== 'hidden' && !e.closest('[aria-hidden=true]'))
  .filter(e => !(e.labels && e.labels.length) && !e.getAttribute('aria-label')
    && !e.getAttribute('aria-labelledby') && !(e.tagName === 'BUTTON' && e.textContent.trim()))
  .map(e => e.outerHTML.slice(0, 200))"""


def drop(page: Page, platform: Platform, *files: Path) -> None:
    """Drop files and wait until they were read."""
    page.goto(platform.ui_url)
    page.locator("#drop input[type=file]").set_input_files([str(f) for f in files])
    expect(page.locator(".outcome")).to_be_visible()


def test_edf_and_dicom_are_drawn_and_a_text_named_dcm_is_listed_with_its_reason(
    page: Page, platform: Platform, tmp_path: Path
) -> None:
    letter = tmp_path / "referral.dcm"
    letter.write_text("Dear colleague, this is no ECG, either.")
    edf, dicom = FORMATS / "edf" / "E07500_12lead_edfplus.edf", FORMATS / "dicom" / "waveform_ecg.dcm"
    drop(page, platform, edf, dicom, letter)
    expect(page.locator(".outcome")).to_contain_text("2 of 3 read")
    expect(page.locator(".worklist-item", has_text="referral.dcm")).to_contain_text("UnknownFormat")
    for name, kind in ((edf.name, "EDF"), (dicom.name, "DICOM")):
        page.locator(".worklist-item", has_text=name).click()
        expect(page.locator("h1")).to_have_text(name)
        expect(page.locator(".record-header")).to_contain_text(kind)
        expect(page.locator("#ecg .annotation-text")).to_have_count(13)
        expect(page.locator("#ecg .scatterlayer .trace")).to_have_count(15)
        expect(page.locator("#ecg .annotation-text", has_text="absent")).to_have_count(0)


def test_arrow_keys_step_through_the_worklist_but_not_while_typing(page: Page, platform: Platform) -> None:
    names = ("E07500_12lead_edfplus.edf", "E07500_12lead_bdfplus.bdf")
    dicom = FORMATS / "dicom" / "waveform_ecg.dcm"
    drop(page, platform, *(FORMATS / "edf" / n for n in names), dicom)
    items = page.locator(".worklist-item")
    expect(items.nth(1)).to_be_visible()
    items.nth(0).click()
    chosen = page.locator(".worklist-item.active")
    first, second = (items.nth(i).get_attribute("href") or "" for i in range(2))
    expect(chosen).to_have_attribute("href", first)
    page.get_by_text("12×1", exact=True).click()
    expect(page.locator("#ecg .annotation-text")).to_have_count(12)
    page.keyboard.press("ArrowRight")
    expect(chosen).to_have_attribute("href", second)
    expect(chosen).to_be_in_viewport()
    page.keyboard.press("ArrowLeft")
    expect(chosen).to_have_attribute("href", first)
    page.keyboard.press("ArrowLeft")  # the end of the list stays
    page.locator("#model").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)
    expect(chosen).to_have_attribute("href", first)


def test_a_longer_record_is_paged_by_ten_seconds(page: Page, platform: Platform, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    signal = np.tile(synthetic_window(seed=5), 3)[:, :12_500].T
    header = "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"
    np.savetxt(path, signal, fmt="%.4f", delimiter=",", header=header, comments="")
    drop(page, platform, path)
    page.fill("#stated-rate", "500")
    page.click("#stated-unit")
    page.get_by_role("option", name="mV", exact=True).click()
    page.click("#state-it")
    expect(page.locator("#paper-footer")).to_contain_text("0–10 s of 25 s")
    page.click("#paper-start")
    page.get_by_role("option", name="20–25 s").click()
    expect(page.locator("#paper-footer")).to_contain_text("20–25 s of 25 s")


@pytest.mark.parametrize("address", ["/analyse", "/fine-tune"])
def test_every_field_has_a_name(page: Page, platform: Platform, address: str) -> None:
    page.goto(platform.ui_url + address)
    expect(page.locator("#worklist > *, .choice").first).to_be_visible()
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert page.evaluate(NAMELESS) == []
