"""Recorded results in every format: other programs read them and find what was said, and nobody's name."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pydicom
import pytest

from exchangeai.findings import (
    ConformalVerdict,
    Finding,
    OutOfDistribution,
    Prediction,
    Provenance,
    Refusal,
    RefusalCode,
)
from exchangeai.measurements import LeadQuality, Quality, Verdict
from exchangeai.model_file import INTENDED_USE
from exchangeai.results import Result, decode, encode, formats

RECORDING = "ab" * 32
ANSWERED = Result(
    recording_id=RECORDING,
    prediction=Prediction(
        findings=(
            Finding(
                name="NORM",
                code="SCP-ECG:NORM",
                probability=0.91,
                threshold=0.5,
                present=True,
                conformal=ConformalVerdict.HOLDS,
            ),
            Finding(name="AFIB", code="SNOMED:164889003", probability=0.2, threshold=0.4),
            Finding(
                name='=HYPERLINK("x") <&>',
                probability=0.3,
                threshold=0.4,
                conformal=ConformalVerdict.UNDECIDED,
            ),
        ),
        quality=Quality(
            verdict=Verdict.LIMITED,
            reasons=("missing: V6",),
            leads=(LeadQuality(lead="V6", flags=("missing",)),),
            flags=("pacing_spikes",),
        ),
        notes=("the age is not known",),
        ood=OutOfDistribution(
            ood_score=9.5, percentile=42.0, outside=False, limit=20.0, limit_percentile=99.5
        ),
    ),
    provenance=Provenance(
        model_name="superclass",
        model_version=3,
        model_digest="cd" * 32,
        input_digest=RECORDING,
        code_version="0.1",
        preprocessing_version="2.1",
        runtime_version="1.23",
        request_id="r",
        notice=INTENDED_USE,
    ),
    recorded_at=1_700_000_000.25,
)
REFUSED = replace(
    ANSWERED,
    recording_id="ef" * 32,
    prediction=Prediction(
        findings=(),
        quality=Quality(verdict=Verdict.NOT_ANALYSABLE, reasons=("flat: I, II",)),
        refusals=(Refusal(code=RefusalCode.NOT_ANALYSABLE, text="flat: I, II"),),
    ),
)
NUMBER = replace(
    ANSWERED,
    prediction=replace(
        ANSWERED.prediction, findings=(Finding(name="QTc", value=421.5, low=400.0, high=440.0),)
    ),
)


def _written(format_name: str, results: Sequence[Result]) -> dict[str, bytes]:
    writer = formats()[format_name].writer()
    files: dict[str, bytes] = defaultdict(bytes)

    def chunks() -> Iterator[Any]:
        for result in results:
            yield from writer.add(result)
        yield from writer.finish()

    for chunk in chunks():
        files[chunk.file] += chunk.data
    return dict(files)


@pytest.mark.parametrize("result", [ANSWERED, REFUSED, NUMBER])
def test_a_result_comes_back_as_it_was_stored(result: Result) -> None:
    assert decode(encode(result)) == result


@pytest.mark.parametrize("name", sorted(formats()))
def test_equal_results_give_equal_files_in_every_format(name: str) -> None:
    first, again = (_written(name, [ANSWERED, REFUSED, NUMBER]) for _ in range(2))
    assert first == again
    assert all(first.values())
    if name != "parquet":
        everything = b"".join(first.values())
        assert INTENDED_USE.encode() in everything


def test_csv_and_parquet_say_the_same() -> None:
    (text,) = _written("csv", [ANSWERED, REFUSED, NUMBER]).values()
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    (data,) = _written("parquet", [ANSWERED, REFUSED, NUMBER]).values()
    table = pq.read_table(io.BytesIO(data)).to_pylist()
    assert [x["finding"] or "" for x in table] == [x["finding"].removeprefix("'") for x in rows]
    assert (rows[0]["probability"], table[0]["probability"]) == ("0.91", 0.91)
    assert (rows[0]["present"], table[0]["present"]) == ("true", True)
    assert rows[2]["finding"].startswith("'=")  # no formula
    assert rows[3]["refusals"] == table[3]["refusals"] == "not_analysable: flat: I, II"
    assert (rows[4]["value"], rows[4]["probability"], table[4]["probability"]) == ("421.5", "", None)
    assert table[0]["quality_flags"] == "pacing_spikes; V6: missing"
    empty = _written("parquet", [])["results.parquet"]
    assert pq.read_table(io.BytesIO(empty)).column_names == list(rows[0])
    assert _written("csv", [])["results.csv"].count(b"\n") == 1


REQUIRED = {
    "DiagnosticReport": {"status", "code", "subject", "issued", "conclusion", "text"},
    "Observation": {"status", "code", "subject", "device", "valueQuantity"},
    "Device": {"identifier", "deviceName", "version"},
    "Provenance": {"target", "recorded", "agent", "entity"},
}


@pytest.mark.parametrize("result", [ANSWERED, REFUSED, NUMBER])
def test_a_fhir_bundle_is_whole_and_preliminary(result: Result) -> None:
    (data,) = _written("fhir", [result]).values()
    bundle = json.loads(data)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    places = [x["fullUrl"] for x in bundle["entry"]]
    assert len(set(places)) == len(places)
    by_type: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in bundle["entry"]:
        resource = entry["resource"]
        by_type[resource["resourceType"]].append(resource)
        assert REQUIRED[resource["resourceType"]] <= set(resource)
        assert entry["fullUrl"] == f"urn:uuid:{resource['id']}"
        assert {x["reference"] for x in _references(resource)} <= set(places)
    (report,) = by_type["DiagnosticReport"]
    assert report["status"] == "preliminary"
    assert INTENDED_USE in report["conclusion"]
    assert len(by_type["Observation"]) == len(result.prediction.findings) == len(report.get("result", ()))
    assert all(x["status"] == "preliminary" for x in by_type["Observation"])
    assert {x["subject"]["identifier"]["value"] for x in (report, *by_type["Observation"])} == {
        result.recording_id
    }
    (made,) = by_type["Provenance"]
    assert made["entity"][0]["what"]["identifier"]["value"] == result.provenance.input_digest
    if result is ANSWERED:
        codes = [x["code"]["coding"][0] for x in by_type["Observation"]]
        assert (codes[1]["system"], codes[1]["code"]) == ("http://snomed.info/sct", "164889003")
        meaning = [x["interpretation"][0]["coding"][0]["code"] for x in by_type["Observation"]]
        assert meaning == ["POS", "NEG", "IND"]
        assert "<&>" not in report["text"]["div"]


def _references(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        if "reference" in tree:
            yield tree
        for value in tree.values():
            yield from _references(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _references(value)


@pytest.mark.parametrize("result", [ANSWERED, REFUSED, NUMBER])
def test_a_fhir_bundle_passes_the_models_of_the_standard(result: Result) -> None:
    from fhir.resources.R4B.bundle import Bundle

    (data,) = _written("fhir", [result]).values()
    assert Bundle.model_validate_json(data).type == "collection"


# PS3.3 A.35.3: attributes of the mandatory modules that must be there (type 1) or may be empty (type 2).
TYPE_1 = (
    "StudyInstanceUID", "Modality", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber", "CompletionFlag",
    "VerificationFlag", "ContentDate", "ContentTime", "ValueType", "ConceptNameCodeSequence",
    "ContinuityOfContent", "ContentSequence", "SOPClassUID", "SOPInstanceUID",
)  # fmt: skip
TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "ReferringPhysicianName", "StudyID", "AccessionNumber", "ReferencedPerformedProcedureStepSequence",
    "Manufacturer", "PerformedProcedureCodeSequence",
)  # fmt: skip
VALUES = {
    "TEXT": "TextValue",
    "CODE": "ConceptCodeSequence",
    "NUM": "MeasuredValueSequence",
    "UIDREF": "UID",
    "CONTAINER": "ContinuityOfContent",
}


@pytest.mark.parametrize("result", [ANSWERED, REFUSED, NUMBER])
def test_a_dicom_sr_has_what_its_class_demands(result: Result) -> None:
    (data,) = _written("dicom_sr", [result]).values()
    found = pydicom.dcmread(io.BytesIO(data))
    assert found.SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.33"
    assert found.file_meta.MediaStorageSOPInstanceUID == found.SOPInstanceUID
    for keyword in TYPE_1:
        assert found[keyword].value not in (None, "", []), keyword
    for keyword in TYPE_2:
        assert keyword in found, keyword
    assert (found.PreliminaryFlag, found.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    assert found.PatientID == result.recording_id
    assert found.PatientName == ""
    items = list(_items(found))
    for item in items:
        assert item.RelationshipType in {"CONTAINS", "HAS OBS CONTEXT", "HAS CONCEPT MOD", "HAS PROPERTIES"}
        assert item[VALUES[item.ValueType]].value not in (None, "", []), item
        for code in (item.ConceptNameCodeSequence[0], *item.get("ConceptCodeSequence", [])):
            assert 0 < len(code.CodeValue) <= 16
            assert 0 < len(code.CodingSchemeDesignator) <= 16
            assert 0 < len(code.CodeMeaning) <= 64
    texts = [x.TextValue for x in items if x.ValueType == "TEXT"]
    assert {result.provenance.model_digest, result.provenance.input_digest, INTENDED_USE} <= set(texts)
    coded = [x.ConceptCodeSequence[0] for x in items if x.ValueType == "CODE"]
    if result is ANSWERED:
        assert ("164889003", "SCT") in [(x.CodeValue, x.CodingSchemeDesignator) for x in coded]
        numbers = [float(x.MeasuredValueSequence[0].NumericValue) for x in items if x.ValueType == "NUM"]
        assert 0.91 in numbers


def _items(dataset: pydicom.Dataset) -> Iterator[pydicom.Dataset]:
    for item in dataset.get("ContentSequence", []):
        yield item
        yield from _items(item)


def test_two_models_on_one_recording_share_the_study_and_no_instance() -> None:
    other = replace(ANSWERED, provenance=replace(ANSWERED.provenance, model_digest="11" * 32))
    one, two = (pydicom.dcmread(io.BytesIO(x)) for x in _written("dicom_sr", [ANSWERED, other]).values())
    assert one.StudyInstanceUID == two.StudyInstanceUID
    assert one.SOPInstanceUID != two.SOPInstanceUID
