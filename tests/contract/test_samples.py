"""Every sample file is read exactly as independent readers read it, or refused as it must be.

The expected facts were measured with other people's readers (each entry names them). With
EXCHANGEAI_SAMPLES=<folder> the same test runs on a folder of one's own that holds an `expected.json`: files
that may not be copied into this repository, or those of a new device.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchangeai.errors import ExchangeaiError
from exchangeai.leads import canonical_lead
from exchangeai.reading import SourceReport, read_each
from exchangeai.recording import Recording, Series
from tests.samples import GOLDEN, stated

FOLDER = Path(os.environ.get("EXCHANGEAI_SAMPLES", GOLDEN)).resolve()
EXPECTED: dict[str, dict[str, Any]] = {
    name: x for name, x in json.loads((FOLDER / "expected.json").read_text("utf-8")).items() if "expect" in x
}


def read(name: str) -> list[SourceReport]:
    return read_each(FOLDER / name, stated(name))


def recordings(name: str) -> list[Recording]:
    reports = read(name)
    for report in reports:
        if report.error is not None and len(reports) == 1:
            raise report.error
    return [x.recording for report in reports for x in report.results]


def names(kind: str) -> list[str]:
    return sorted(name for name, x in EXPECTED.items() if x["expect"] == kind)


@pytest.mark.parametrize("name", names("read"))
def test_a_sample_is_read_exactly(name: str) -> None:
    found = recordings(name)
    assert len(found) == 1
    if "first_row" in EXPECTED[name]:
        check_table(found[0], EXPECTED[name])
    else:
        check(found[0], EXPECTED[name])


@pytest.mark.parametrize("name", names("read_many"))
def test_a_container_gives_each_of_its_records(name: str) -> None:
    expected, found = EXPECTED[name], recordings(name)
    wanted = [EXPECTED[x] if isinstance(x, str) else x for x in expected["records"]]
    assert len(found) == len(wanted)
    assert len({x.source_digest for x in found}) == len(found)
    for recording, facts in zip(found, wanted, strict=True):
        check(recording, facts)
    told = {y.rpartition("/")[2] for x in read(name) if x.error is not None for y in x.files}
    assert {Path(x).name for x in expected.get("not_ecg", [])} <= told


@pytest.mark.parametrize("name", names("refuse"))
def test_a_bad_sample_is_refused(name: str) -> None:
    begin = time.monotonic()
    reports = read(name)
    assert time.monotonic() - begin < 5
    for report in reports:
        assert report.error is not None
        assert isinstance(report.error, ExchangeaiError)
        assert "root:" not in str(report.error)


def check_table(recording: Recording, expected: dict[str, Any]) -> None:
    """Microvolts of the first and the last sample of each lead."""
    assert [len(recording.leads[0].samples), len(recording.leads)] == expected["shape"]
    for at, row in ((0, expected["first_row"]), (-1, expected["last_row"])):
        assert [x.samples[at] * 1e3 for x in recording.leads] == pytest.approx(row, abs=1e-3)


def check(recording: Recording, expected: dict[str, Any]) -> None:
    """All that the entry states of a recording."""
    assert len(recording.leads) == expected["n_leads"], recording.lead_names
    if "derived (median)" not in str(expected) and "alphabetical" not in expected.get("note", ""):
        assert [spelled(x) for x in recording.lead_names] == [spelled(x) for x in expected["leads"]]
    _check_signals(recording, expected)
    _check_facts(recording, expected)
    for other in expected.get("other_groups", []):
        _check_other(recording.other_series, other)


def spelled(name: str) -> str:
    """One spelling for labels that readers trim in different ways."""
    return canonical_lead(name).replace(" ", "").replace("_", "").casefold()


def _check_signals(recording: Recording, expected: dict[str, Any]) -> None:
    pulse = expected.get("last_ecg_sample")
    positions = {spelled(x): i for i, x in reversed(list(enumerate(recording.lead_names)))}
    for i, label in enumerate(expected["leads"]):
        at = positions[spelled(label)]
        lead = recording.leads[at]
        assert lead.sampling_rate_hz == pytest.approx(_each(expected["fs"], i), rel=1e-6)
        unit = _each(expected.get("units", "mV"), i)
        # Raw counts without a unit were stated as mV by the caller.
        assert lead.unit == unit or unit == "", (lead.unit, unit)
        if "segments" in expected:
            _check_segments(lead.samples, expected, label)
            continue
        size = _each(expected["n_samples"], i) if pulse is None else pulse + 1
        assert lead.samples.size == size
        step = 0.0 if not lead.derived else 0.005
        for index, value in expected.get("values", {}).get(label, {}).items():
            if int(index) >= size:
                continue
            found = float(lead.samples[int(index)])
            if value is None:
                assert np.isnan(found), (label, index)
            else:
                assert found == pytest.approx(value, rel=2e-6, abs=max(step, _tolerance(expected))), (
                    label,
                    index,
                )
        if pulse is None and (known := lead.samples[~np.isnan(lead.samples)]).size:
            low, high, mean = expected.get("min_max_mean", {}).get(label, (None, None, None))
            if low is not None:
                limits = (float(known.min()), float(known.max()), float(known.mean(dtype=np.float64)))
                assert limits == pytest.approx(
                    (low, high, mean), rel=1e-5, abs=max(step, _tolerance(expected))
                )
        if "n_missing" in expected:
            assert int(np.isnan(lead.samples).sum()) == _each(expected["n_missing"], i)


def _check_segments(samples: Any, expected: dict[str, Any], label: str) -> None:
    rate = expected["fs"]
    assert samples.size == expected["total_span_s"] * rate
    known = np.zeros(samples.size, bool)
    for part in expected["segments"]:
        start = round(part["start_s"] * rate)
        known[start : start + part["n_samples"]] = True
        if label == "I":
            assert samples[start : start + 3] == pytest.approx(part["I_first3_mV"], abs=1e-6)
    assert np.isnan(samples[~known]).all()
    assert np.isfinite(samples[known]).all()


def _check_facts(recording: Recording, expected: dict[str, Any]) -> None:
    patient = expected.get("patient", {})
    assert recording.patient.sex == patient.get("sex", recording.patient.sex)
    assert recording.patient.age_years == patient.get("age_years", recording.patient.age_years)
    if "derived_leads" in expected:
        assert sorted(recording.derived_leads) == sorted(expected["derived_leads"])
    for name, value in expected.get("measurements", {}).items():
        assert recording.device_measurements[name] == pytest.approx(value)
    for name, value in expected.get("filters", {}).items():
        assert getattr(recording.filters, name) == pytest.approx(value)
    if "annotations" in expected:
        _check_annotations(recording, expected["annotations"])


def _check_annotations(recording: Recording, expected: dict[str, Any]) -> None:
    found = recording.annotations
    assert len(found) == expected["n"]
    for at, (onset_s, duration_s, text) in zip(found, expected.get("first", []), strict=False):
        assert (at.label, at.duration_s or 0) == (text, pytest.approx(duration_s or 0))
        assert at.onset_s == pytest.approx(onset_s, abs=1e-6)
    if "symbols" in expected:
        counts = {x: sum(a.label == x for a in found) for x in {a.label for a in found}}
        assert counts == expected["symbols"]
        rate = recording.leads[0].sampling_rate_hz
        samples = [round(x.onset_s * rate) for x in found]
        assert samples[: len(expected["first_samples"])] == expected["first_samples"]
        assert samples[-1] == expected["last_sample"]
        assert [x.detail for x in found if x.detail][: len(expected["aux_first"])] == expected["aux_first"]


def _check_other(series: tuple[Series, ...], expected: dict[str, Any]) -> None:
    if expected["n_leads"] <= 0:
        return
    medians = [x for x in series if x.kind == "median"]
    assert medians, "no median series"
    leads = medians[0].leads
    stored = [x for x in leads if not x.derived]
    assert expected["n_leads"] in (len(leads), len(stored))
    assert leads[0].samples.size == expected["n_samples"]
    first = expected.get("lead0_first3_mV") or expected.get("lead0_first3")
    if first:
        assert leads[0].sampling_rate_hz == pytest.approx(expected["fs"])
        assert leads[0].samples[:3] == pytest.approx(first, abs=1e-5)


def _each(value: Any, i: int) -> Any:
    return value[i] if isinstance(value, list) else value


def _tolerance(expected: dict[str, Any]) -> float:
    return 1.01e-3 if "tolerance 1 uV" in expected.get("note", "") else 1e-6
