"""Fine-tuning as a person does it: from a label table to results, cancelled and resumed on the way."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from demo.records import read_records
from demo.wfdb_files import write_wfdb
from services.local import Platform

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

MINUTE_MS = 60_000


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty ECGs with a label table, divided by semicolons as a German spreadsheet does it."""
    folder = tmp_path_factory.mktemp("labelled")
    with (folder / "befunde.csv").open("w", newline="", encoding="utf-8-sig") as f:
        out = csv.writer(f, delimiter=";")
        out.writerow(["file", "label", "patient"])
        for record in islice(read_records(), 40):
            write_wfdb(folder, record)
            out.writerow([record.name, "NORM" if "NORM" in record.labels else "other", record.patient])
    return folder


@pytest.fixture
def dataset(page: Page, platform: Platform, labelled: Path) -> Page:
    """The page with a data set built and chosen."""
    page.goto(platform.ui_url)
    files = [str(f) for f in labelled.iterdir() if f.suffix in (".hea", ".dat")]
    page.locator("#drop input[type=file]").set_input_files(files)
    expect(page.locator(".outcome")).to_contain_text("40 of 40 read", timeout=MINUTE_MS)
    page.get_by_role("link", name="Fine-tune").click()
    page.get_by_text("New data set from a label table").click()
    page.locator("#table input[type=file]").set_input_files(str(labelled / "befunde.csv"))
    expect(page.locator("#table-preview tbody tr")).to_have_count(4)
    expect(page.locator("#column-patient")).to_have_value("patient")
    page.click("#build")
    expect(page.locator("#dataset-report .state")).to_have_text("ready", timeout=MINUTE_MS)
    expect(page.locator("#dataset-report")).to_contain_text("40 rows joined to a recording")
    return page


def start(page: Page, name: str, epochs: int, *, int8: bool = False) -> None:
    """Start a run with these epochs; all else is left empty, which means the default."""
    expect(page.locator(".choice")).not_to_have_count(0)
    page.fill("#model-name", name)
    page.get_by_text("Advanced", exact=True).click()
    assert page.locator("#batch-size").input_value() == ""
    # Forty recordings are few: the preset takes few a step.
    expect(page.locator("#batch-size")).to_have_attribute("placeholder", "16")
    expect(page.locator("#estimate")).to_contain_text("Measured")
    page.fill("#max-epochs", str(epochs))
    if int8:
        page.get_by_role("switch", name="Make an int8 form as well").check(force=True)
    page.click("#start")
    expect(page.locator("#run-head h1")).to_contain_text(name)


def test_table_to_results_cancelled_and_resumed_on_the_way(
    dataset: Page, platform: Platform, tiny: str, asked: list[str]
) -> None:
    page, state = dataset, dataset.locator("#run-state")
    start(page, "clicked", 1, int8=True)
    expect(state).to_have_text("succeeded", timeout=2 * MINUTE_MS)
    expect(page.locator("#learning")).to_be_visible()
    expect(page.locator("#results tbody tr")).to_have_count(3)
    expect(page.locator("#results")).to_contain_text("[")
    expect(page.locator("#reliability")).to_be_visible()
    expect(page.locator("#int8-form")).to_contain_text("of macro-AUROC")
    expect(page.locator("#run-log")).to_contain_text("Epoch 1")
    with page.expect_download() as card:
        page.click("#card")
    assert card.value.suggested_filename == "clicked-1.md"
    # Only models of the chosen architecture are offered; the tiny one is of none that can be trained.
    page.reload()
    page.click("#base")
    expect(page.get_by_role("option", name="clicked:1")).to_be_visible()
    expect(page.locator("[role=option]:visible")).to_have_count(1)
    page.keyboard.press("Escape")
    page.locator(".choice").nth(1).get_by_role("radio").check(force=True)
    expect(page.get_by_text("No approved models of this architecture")).to_be_visible()
    page.locator(".choice").nth(0).get_by_role("radio").check(force=True)

    page.click("#dataset")
    page.get_by_role("option", name="befunde").first.click()
    start(page, "steered", 200)
    expect(page.locator("#learning")).to_be_visible(timeout=MINUTE_MS)
    page.click("#cancel")
    expect(state).to_have_text("cancelled", timeout=MINUTE_MS)
    expect(page.locator("#cancel")).to_be_hidden()
    page.click("#resume")
    expect(state).to_have_text("running", timeout=MINUTE_MS)
    page.click("#cancel")
    expect(state).to_have_text("cancelled", timeout=MINUTE_MS)
    origin = urlsplit(platform.ui_url).netloc
    assert {urlsplit(u).netloc for u in asked if u.startswith("http")} == {origin}


def test_two_architectures_are_compared(dataset: Page) -> None:
    page = dataset
    page.get_by_role("link", name="Compare").click()
    expect(page.get_by_role("radio")).to_have_count(3)
    chosen = page.locator(".choice-list input:checked")
    # The two that come first are chosen; one small one is enough here.
    expect(chosen).to_have_count(2)
    while chosen.count():
        chosen.first.uncheck(force=True)
    page.locator(".choice", has_text="tiny_cnn").get_by_role("checkbox").check(force=True)
    page.locator(".choice", has_text="Quick").get_by_role("radio").check(force=True)
    page.fill("#compare-seeds", "0; one")
    page.click("#compare-start")
    expect(page.locator("#compare-outcome")).to_contain_text("whole numbers")
    page.fill("#compare-seeds", "0")
    page.fill("#compare-name", "small")
    page.click("#compare-start")
    expect(page.locator("#compare-head h1")).to_have_text("small")
    expect(page.locator("#comparison-state")).to_have_text("succeeded", timeout=2 * MINUTE_MS)
    expect(page.locator("#leaderboard tbody tr")).to_have_count(1)
    expect(page.locator("#leaderboard")).to_contain_text("best")
    expect(page.locator("#dots")).to_be_visible()
    expect(page.locator("#compare-list tbody tr")).to_contain_text("tiny_cnn")


def test_a_table_of_another_dialect_is_stated_and_its_report_kept(dataset: Page, tmp_path: Path) -> None:
    page = dataset
    names = [r.name for r in islice(read_records(), 40)]
    rows = [f"{n}^{'Schenkelblöcke' if i % 2 else 'normal'}" for i, n in enumerate(names)]
    table = tmp_path / "klinik.txt"
    table.write_bytes("\n".join(["file^befund", *rows, "nobody^normal"]).encode("mac-roman"))
    page.get_by_text("New data set from a label table").click()
    page.locator("#table input[type=file]").set_input_files(str(table))
    page.get_by_text("Advanced: how the table is read").click()
    for field, choice in (("separator", "^"), ("encoding", "Mac Roman")):
        page.click(f"#{field}")
        page.get_by_role("option", name=choice, exact=True).click()
    expect(page.locator("#table-preview")).to_contain_text("Schenkelblöcke")
    page.click("#column-label")
    page.get_by_role("option", name="befund", exact=True).click()
    page.fill("#synonyms", "normal NORM")
    page.click("#build")
    wrong = page.locator(".mantine-InputWrapper-root", has=page.locator("#synonyms"))
    expect(wrong).to_contain_text("names no class")
    page.fill("#synonyms", "NORMAL = NORM")
    page.click("#build")
    report = page.locator("#dataset-report")
    expect(report).to_contain_text("klinik")
    expect(report.locator(".state")).to_have_text("ready", timeout=MINUTE_MS)
    expect(report).to_contain_text("Schenkelblöcke")
    expect(report).to_contain_text("NORM")
    with page.expect_download() as kept:
        page.get_by_label("Download: rows name no known recording").click()
    lines = kept.value.path().read_text("utf-8-sig").splitlines()
    assert lines[0].startswith("row")
    assert lines[1].startswith("41,")
    assert len(lines) == 2
