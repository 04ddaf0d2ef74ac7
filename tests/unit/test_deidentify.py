"""De-identification: what passes, what is withheld and counted, and that no marker passes in any format."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import msgspec
import numpy as np
import pytest

from exchangeai.deidentify import deidentified, device_model, is_clinical, lead_name, mark
from exchangeai.formats import ReadOptions, read_records, readers
from exchangeai.formats.sandboxed import SandboxedReader
from exchangeai.recording import Annotation, Filters, Lead, Patient, Recording, Series, to_bytes
from tests.fuzz.marking import MARKER, Marked, containers, found_in, marked, with_texts
from tests.fuzz.seeds import seeds


def lead(name: str, unit: str = "mV") -> Lead:
    return Lead(name=name, samples=np.ones(4, np.float32), sampling_rate_hz=500.0, unit=unit)


@pytest.mark.parametrize(
    "name",
    [
        "I",
        "aVR",
        "MLII",
        "V3R",
        "V7",
        "EEG Fpz-Cz",
        "Resp oro-nasal",
        "ECG LL-RA",
        "CM5",
        "PLETH",
        "channel 7",
    ],
)
def test_names_of_leads_that_the_field_knows_pass(name: str) -> None:
    assert lead_name(name) == name


@pytest.mark.parametrize("name", ["Smith", "ECG of John", "MRN 4815162", "I\nSmith", "x" * 99, "", "12345"])
def test_other_names_of_leads_do_not(name: str) -> None:
    assert lead_name(name) is None


@pytest.mark.parametrize(
    "text",
    [
        "Normal sinus rhythm",
        "ST & T wave abnormality, consider inferior ischemia or digitalis effect",
        "Right bundle branch block, LAFB",
        "QTc 431 ms",
        "Q1, T3",
        "Sinusrhythmus. Lagetyp normal",
        "*** Poor data quality ***",
    ],
)
def test_clinical_statements_pass(text: str) -> None:
    assert is_clinical(text)


@pytest.mark.parametrize(
    "text",
    [
        "Normal ECG, confirmed by SMITH",
        "When compared with ECG of 12-MAR-2001",
        "Sinus rhythm 12.03.1956",
        "1956 03 12",
        "rate 555 123 4567",
        "J. S.",
        "中文",
        "normal " * 99,
        "",
    ],
)
def test_texts_with_names_dates_and_numbers_do_not(text: str) -> None:
    assert not is_clinical(text)


def test_marks_keep_symbols_codes_and_rhythms() -> None:
    kept = [
        "N",
        "+",
        "",
        "(AFIB",
        "(VT",
        "0x0301",
        "769",
        "Sleep stage W",
        "MDC_ECG_WAVC_PWAVE",
        "Lights off",
    ]
    assert all(mark(x) for x in kept)
    assert not any(mark(x) for x in ["(SMITH", "48151623", "Dr Smith called", "0xCAFEBABE", "é"])


def test_a_device_keeps_its_model_and_loses_the_rest() -> None:
    assert device_model("GE MAC 5500 HD SN:A123456 Ward Smith") == "GE MAC 5500 HD"
    assert device_model("Philips PageWriter TC70") == "Philips PageWriter TC70"
    assert device_model("CASE V6.73") == "CASE V6.73"
    assert device_model("Smith 5500") is device_model("860306") is device_model("") is None


def test_what_is_withheld_is_counted_and_the_rest_stays() -> None:
    recording = Recording(
        format="edf",
        leads=(lead("I"), lead("Smith"), lead("ABP", "mmHg"), lead("Resp", "per Smith")),
        other_series=(Series(kind="median", leads=(lead("Jones"),), start_s=math.inf),),
        annotations=(
            Annotation(onset_s=1.0, label="N", lead="Smith"),
            Annotation(onset_s=2.0, label="called Smith", duration_s=3.0, detail="(AFIB"),
            Annotation(onset_s=3.0, label="note", lead="nobody"),
        ),
        device_statements=("Sinus rhythm", "Seen by Smith"),
        device_measurements={"qt_ms": 400.0, "smith": 1.0, "qrs_ms": math.nan},
        device_model="Smith's own",
        patient=Patient(sex="F", age_years=104),
        acquisition_year=1066,
        filters=Filters(highpass_hz=math.nan, lowpass_hz=40.0),
        warnings=("odd",),
    )
    safe = deidentified(recording)
    assert safe.lead_names == ("I", "channel 2", "ABP", "Resp")
    assert [x.unit for x in safe.leads] == ["mV", "mV", "mmHg", ""]
    assert safe.leads[0] is recording.leads[0]
    assert safe.other_series[0].leads[0].name == "channel 1"
    assert safe.other_series[0].start_s is None
    assert [(x.label, x.detail, x.lead) for x in safe.annotations] == [
        ("N", "", "channel 2"), ("", "(AFIB", None), ("note", "", None),
    ]  # fmt: skip
    assert safe.annotations[1].duration_s == 3.0
    assert safe.device_statements == ("Sinus rhythm",)
    assert safe.device_measurements == {"qt_ms": 400.0}
    assert (safe.device_model, safe.acquisition_year) == (None, None)
    assert safe.patient == Patient(sex="F", age_years=90)
    assert safe.filters == Filters(lowpass_hz=40.0)
    told = (
        "withheld, because free text may name a person: 1 device names, 1 labels of marks, 2 names of leads, "
    )
    assert safe.warnings == ("odd", told + "1 statements, 1 units")
    assert "Smith" not in str(safe)
    again = deidentified(safe)
    assert dataclasses.replace(again, leads=(), other_series=()) == dataclasses.replace(
        safe, leads=(), other_series=()
    )


@cache
def all_marked() -> list[Marked]:
    made = containers()
    for name, found in seeds().items():
        for seed in found[:2]:
            made.append(marked(with_texts(name, seed.files), seed.options))
    return made


async def test_no_marker_leaves_the_sandbox_in_any_format() -> None:
    reader = SandboxedReader()
    try:
        formats, full = set[str](), set[str]()
        for record in all_marked():
            here = read_records(record.files, record.options)
            results = await reader.read(record.files, record.options)
            assert len(results) == len(here)
            for result in results:
                formats.add(result.recording.format)
                if record.places > 1:
                    full.add(result.recording.format)
                assert not found_in(to_bytes(result.recording)), result.recording
                assert not found_in(msgspec.json.encode(result.recording.warnings))
        assert formats == set(readers())
        # An array alone has no room for texts.
        assert full >= formats - {"npy"}
    finally:
        await reader.close()


async def test_errors_hold_no_marker() -> None:
    reader = SandboxedReader()
    try:
        for record in all_marked():
            files = {k: v[: len(v) // 3] + MARKER.encode() * 3 for k, v in record.files.items()}
            [outcome] = await reader.read_many([files], ReadOptions(strict=True))
            assert isinstance(outcome, list) or not found_in(str(outcome).encode())
    finally:
        await reader.close()
