"""FHIR Observations with SampledData: both versions, Bundles, special tokens, and damaged files."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exchangeai.errors import EmptyFile, ExchangeaiError, InvalidHeader, MissingMetadata, Truncated
from exchangeai.formats import ReadOptions, ReadResult, fhir, read_records
from exchangeai.leads import STANDARD_12

GOLDEN = Path(__file__).parents[2] / "golden" / "formats" / "fhir"
STRICT = ReadOptions(strict=True)
MDC = "urn:oid:2.16.840.1.113883.6.24"


def read_all(resource: Any, options: ReadOptions | None = None) -> list[ReadResult]:
    data = resource if isinstance(resource, bytes) else json.dumps(resource).encode()
    assert fhir.sniff({"a.json": data})
    return fhir.read({"a.json": data}, options or ReadOptions())


def read(resource: Any, options: ReadOptions | None = None) -> ReadResult:
    (result,) = read_all(resource, options)
    return result


def sampled(data: str = "1 2 3", **changed: Any) -> dict[str, Any]:
    """SampledData of R4; a field that is changed to None is left out."""
    fields: dict[str, Any] = {
        "origin": {"value": 0, "unit": "uV", "system": "http://unitsofmeasure.org", "code": "uV"},
        "period": 2,
        "factor": 5,
        "dimensions": 1,
        "data": data,
    }
    return {k: v for k, v in (fields | changed).items() if v is not None}


def coded(code: str, display: str = "") -> dict[str, Any]:
    return {"coding": [{"system": MDC, "code": code, "display": display}]}


def observation(*leads: tuple[str, dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """An Observation with a component for each display name and SampledData."""
    return {
        "resourceType": "Observation",
        "id": "rec-1",
        "status": "final",
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2021-03-04T10:00:00Z",
        "component": [
            {"code": {"coding": [{"display": name}]}, "valueSampledData": data} for name, data in leads
        ],
    } | fields


def test_the_generated_file_holds_the_record_it_was_made_from() -> None:
    result = read((GOLDEN / "E07500_r4_observation.json").read_bytes())
    recording = result.recording
    assert recording.lead_names == STANDARD_12
    assert {(x.samples.size, x.sampling_rate_hz, x.unit) for x in recording.leads} == {(1000, 500.0, "mV")}
    assert recording.signal("V4")[[0, 250, 999]] == pytest.approx([-0.068, -0.165, -0.087])
    assert recording.warnings == ()


def test_the_example_of_hl7_has_no_unit() -> None:
    data = (GOLDEN / "hl7_r4_observation_ekg.json").read_bytes()
    recording = read(data).recording
    assert recording.lead_names == ("I", "II", "III")
    assert {(x.samples.size, x.sampling_rate_hz, x.unit) for x in recording.leads} == {(116, 100.0, "")}
    assert recording.signal("I")[:3] == pytest.approx([5338.092, 5341.316, 5331.644])
    assert recording.ecg_leads == ()
    assert any("no unit" in x for x in recording.warnings)
    assert recording.acquisition_year == 2015
    for word in ("Heuvel", "Langeveld", "f001"):
        assert word not in repr(recording)
    stated = read(data, ReadOptions(unit="uV")).recording
    assert stated.signal("I")[0] == pytest.approx(5.338092)
    assert (stated.unit("I"), stated.warnings) == ("mV", ())


def test_value_is_data_times_factor_plus_origin() -> None:
    data = sampled("-1 0 2.5", origin={"value": "100", "code": "uV"}, factor="2")
    assert read(observation(("II", data))).recording.signal("II") == pytest.approx([0.098, 0.1, 0.105])
    data = sampled("1 2", factor=None, origin={"unit": "mV"})
    assert read(observation(("II", data))).recording.signal("II") == pytest.approx([1, 2])


def test_another_quantity_keeps_its_unit() -> None:
    data = sampled("80 81", factor=1, origin={"value": 0, "unit": "mmHg"})
    recording = read(observation(("ART", data), ("I", sampled()))).recording
    assert (recording.unit("ART"), recording.signal("ART")[1]) == ("mmHg", 81)
    assert [x.name for x in recording.ecg_leads] == ["I"]


@pytest.mark.parametrize(
    ("fields", "rate_hz"),
    [
        ({"interval": 2, "intervalUnit": "ms"}, 500),
        ({"interval": 0.004, "intervalUnit": "s"}, 250),
        ({"interval": 1667, "intervalUnit": "us"}, 1e6 / 1667),
        ({"offsets": "0 4 8", "intervalUnit": "ms"}, 250),
        ({"period": "1.667"}, 1000 / 1.667),
    ],
)
def test_rates_of_both_versions(fields: dict[str, Any], rate_hz: float) -> None:
    data = sampled(period=None) | fields
    assert read(observation(("I", data))).recording.sampling_rate_hz("I") == pytest.approx(rate_hz, rel=1e-12)


def test_error_and_limits_are_missing() -> None:
    data = sampled("1 E 3 U L 1e1", lowerLimit=-100, upperLimit=100)
    recording = read(observation(("I", data))).recording
    expected = [0.005, np.nan, 0.015, np.nan, np.nan, 0.05]
    assert recording.signal("I") == pytest.approx(expected, nan_ok=True)
    assert [x.split()[2] for x in recording.warnings] == ["E", "U", "L"]


def test_codes_of_a_map_are_missing_and_other_words_refused() -> None:
    data = sampled("1 artefact 3", codeMap="http://example.org/ConceptMap/x")
    recording = read(observation(("I", data))).recording
    assert np.isnan(recording.signal("I")[1])
    assert any("codes" in x for x in recording.warnings)
    with pytest.raises(InvalidHeader, match="no numbers") as caught:
        read(observation(("I", sampled("1 artefact 3"))))
    assert "artefact" not in str(caught.value)


def test_dimensions_are_interleaved() -> None:
    data = sampled("1 10 2 20 3 30", dimensions=2)
    with pytest.raises(MissingMetadata, match="leads"):
        read(observation(("", data)))
    options = ReadOptions(leads=("I", "II"))
    recording = read(observation(("", data)), options).recording
    assert recording.lead_names == ("I", "II")
    assert recording.signal("II") == pytest.approx([0.05, 0.1, 0.15])
    cut = observation(("", sampled("1 10 2 20 3", dimensions=2)))
    assert any("truncated" in x for x in read(cut, options).recording.warnings)
    with pytest.raises(InvalidHeader):
        read(cut, ReadOptions(leads=("I", "II"), strict=True))
    for dimensions in (0, -1, 7, 10**9):
        with pytest.raises(InvalidHeader):
            read(observation(("", sampled("1 2 3", dimensions=dimensions))), options)


@pytest.mark.parametrize(
    ("code", "display", "name"),
    [
        ("131329", "", "I"),
        ("131389", "MDC_ECG_ELEC_POTL_III", "III"),
        ("131390", "", "aVR"),
        ("131073", "", "I"),
        ("131331", "", "V1"),
        ("", "MDC_ECG_LEAD_AVF", "aVF"),
        ("", "Lead V6", "V6"),
        ("131328", "MDC_ECG_ELEC_POTL", "MDC_ECG_ELEC_POTL"),
    ],
)
def test_names_of_leads(code: str, display: str, name: str) -> None:
    whole = observation(code=coded(code, display), valueSampledData=sampled())
    assert read(whole).recording.lead_names == (name,)


def test_leads_of_a_bundle_that_were_recorded_together_are_one_ecg() -> None:
    singles = [
        observation(id=f"o{x}", code={"text": x}, valueSampledData=sampled(f"{i} 2 3"))
        for i, x in enumerate(("I", "II", "V1", "II"))
    ]
    other = observation(code={"text": "I"}, valueSampledData=sampled(), effectiveDateTime="2021-03-05")
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "identifier": [{"value": "MRN-77"}],
        "name": [{"family": "Nobody"}],
        "gender": "female",
        "birthDate": "1980-03-05",
    }
    entries = [{"resource": x} for x in (*singles, other, patient)]
    results = read_all({"resourceType": "Bundle", "type": "collection", "entry": entries})
    assert [x.recording.lead_names for x in results] == [("I", "II", "V1"), ("II",), ("I",)]
    first = results[0]
    assert (first.recording.patient.sex, first.recording.patient.age_years) == ("F", 40)
    assert results[2].recording.patient.age_years == 41
    assert first.identifiers.patient_id == "MRN-77"
    assert "Nobody" not in repr(first.recording)


def test_a_bundle_of_whole_ecgs_and_one_resource_a_line() -> None:
    ecgs = [observation(("I", sampled()), ("II", sampled()), id=f"rec-{i}") for i in range(3)]
    nested = {
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "Bundle", "entry": [{"resource": x} for x in ecgs]}}],
    }
    lines = "\n".join(json.dumps(x) for x in ecgs).encode()
    for results in (read_all(nested), read_all(lines)):
        assert [x.identifiers.record_id for x in results] == ["rec-0", "rec-1", "rec-2"]
    report = {"resourceType": "DiagnosticReport", "contained": [ecgs[0]]}
    assert read(report).recording.lead_names == ("I", "II")


def test_measurements_device_and_interpretation() -> None:
    heart_rate = {
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "valueQuantity": {"value": 61, "code": "/min"},
    }
    qrs = {"code": coded("", "MDC_ECG_TIME_PD_QRS"), "valueQuantity": {"value": 0.09, "unit": "s"}}
    unknown = {"code": {"coding": [{"code": "8634-8"}]}, "valueQuantity": {"value": 400, "unit": "furlong"}}
    whole = observation(
        ("I", sampled()),
        device={"reference": "#dev"},
        contained=[
            {
                "resourceType": "Device",
                "id": "dev",
                "serialNumber": "SN123456",
                "deviceName": [
                    {"name": "Nora's watch", "type": "user-friendly-name"},
                    {"name": "PageWriter TC50", "type": "model-name"},
                ],
            }
        ],
        interpretation=[{"coding": [{"code": "N", "display": "Normal"}]}, {"text": "Sinus rhythm"}],
        note=[{"text": "Nora Nobody was nervous"}],
    )
    whole["component"] += [heart_rate, qrs, unknown]
    recording = read(whole).recording
    assert recording.device_measurements == {"ventricular_rate": 61, "qrs_ms": 90}
    assert recording.device_statements == ("Normal", "Sinus rhythm")
    assert recording.device_model == "PageWriter TC50"
    assert "Nora" not in repr(recording)


def test_what_is_not_stated_is_asked_for() -> None:
    data = observation(("I", sampled(period=None)))
    with pytest.raises(MissingMetadata, match="sampling_rate_hz"):
        read(data)
    assert read(data, ReadOptions(sampling_rate_hz=250)).recording.sampling_rate_hz("I") == 250
    with pytest.raises(InvalidHeader, match="500"):
        read(observation(("I", sampled())), ReadOptions(sampling_rate_hz=250))
    with pytest.raises(InvalidHeader, match="units"):
        read(observation(("I", sampled())), ReadOptions(unit="V"))


@pytest.mark.parametrize(
    "data",
    [
        sampled(period=0),
        sampled(period=-2),
        sampled(period=None, interval=1, intervalUnit="mm"),
        sampled(period=1e-9),
        sampled("1;2;3"),
    ],
)
def test_what_contradicts_itself_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InvalidHeader):
        read(observation(("I", data)))


def test_resources_without_samples_are_no_ecg() -> None:
    for resource in (
        {"resourceType": "Patient", "id": "p"},
        observation(),
        observation(valueSampledData=[1, 2]),
        {"resourceType": "Bundle", "entry": "none"},
        {"resourceType": 7},
    ):
        with pytest.raises(EmptyFile):
            read_all(resource)


def test_json_is_read_within_limits() -> None:
    head = b'{"resourceType": "Observation", "x": '
    with pytest.raises(InvalidHeader, match="nested"):
        read_all(head + b"[" * 200_000 + b"]" * 200_000 + b"}")
    with pytest.raises(InvalidHeader, match="not valid"):
        read_all(head + b"9" * 5000 + b"}")
    with pytest.raises(InvalidHeader, match="well-formed"):
        read_all(head + b"}")
    with pytest.raises(Truncated):
        read_all(head + b'"abc')
    huge = observation(("I", sampled(factor=1e308, origin={"value": 1e308, "code": "V"})))
    with pytest.raises(ExchangeaiError):
        read_records({"a": json.dumps(huge).replace('"1 2 3"', '"E"').encode() + b"{"})
    assert np.isnan(read_records({"a": json.dumps(huge).encode()})[0].recording.signal("I")).all()


def test_other_json_is_not_fhir() -> None:
    assert not fhir.sniff({"a": b'{"data": [1, 2]}'})
    assert not fhir.sniff({"a": b'["resourceType"]'})
    assert not fhir.sniff({"a": b""})
    assert fhir.sniff({"a": b'\xef\xbb\xbf\n {"resourceType": "Observation"}'})


def test_damage_fails_with_our_errors() -> None:
    original = json.dumps(observation(("I", sampled("1 2 3 4")), ("II", sampled("1 E")))).encode()
    rng = np.random.default_rng(1)
    for end in range(len(original)):
        with pytest.raises(ExchangeaiError):
            read_records({"a.json": original[:end]})
    for _ in range(400):
        flipped = bytearray(original)
        for at in rng.integers(0, len(original), 3):
            flipped[at] ^= 1 << int(rng.integers(8))
        with contextlib.suppress(ExchangeaiError):
            read_records({"a.json": bytes(flipped)})
