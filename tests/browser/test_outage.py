"""Services that stop answering: one banner says so, and everything comes back by itself."""

from __future__ import annotations

import os
import re
import signal

import pytest
from playwright.sync_api import Page, expect

from services.local import Platform

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]


def test_one_banner_tells_of_services_that_are_away_and_all_panels_recover(
    page: Page, platform: Platform, tiny: str
) -> None:
    stopped = [platform.pid(n) for n in ("ingest", "inference")]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        page.goto(platform.ui_url)
        expect(page.locator(".banner")).to_have_count(1)
        expect(page.locator(".banner")).to_contain_text("ingest and inference services do not answer")
        expect(page.locator(".banner")).to_contain_text("tries again by itself")
        expect(page.locator(".banner .request")).to_have_text(re.compile("request [0-9a-f]{32}"))
        expect(page.locator("#worklist .waiting")).to_be_visible()
        expect(page.locator("#model")).to_have_value("")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
    expect(page.locator(".banner")).to_have_count(0)
    expect(page.locator("#worklist .waiting")).to_have_count(0)
    expect(page.locator("#model")).not_to_have_value("")
    page.click("#model")
    expect(page.get_by_role("option", name=re.compile(re.escape(tiny)))).to_be_visible()


def test_a_trainer_that_died_is_told_of_and_its_list_comes_back(page: Page, platform: Platform) -> None:
    pid = platform.pid("trainer")
    os.kill(pid, signal.SIGSTOP)
    page.goto(platform.ui_url + "/fine-tune")
    expect(page.locator(".banner")).to_contain_text("The trainer service does not answer")
    expect(page.locator(".choice")).to_have_count(0)
    os.kill(pid, signal.SIGKILL)  # it is started again by its supervisor
    expect(page.locator(".choice").first).to_be_visible()
    expect(page.locator(".banner")).to_have_count(0)
