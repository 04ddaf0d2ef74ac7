"""HL7 FHIR R4: for each result a Bundle of a preliminary DiagnosticReport and its Observations.

The person is known by the recording's digest alone. Device and Provenance say which model made it of what.
"""

from __future__ import annotations

import html
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec

from exchangeai.findings import ConformalVerdict, Finding
from exchangeai.results._result import Chunk, Result, file_stem, identity, recorded

Json = dict[str, Any]
RECORDING = "urn:exchangeai:recording-sha256"
"""System of the identifier of a recording: the SHA-256 of its source."""
MODEL = "urn:exchangeai:model-sha256"
OWN_CODES = "urn:exchangeai:class"
_SYSTEMS = {
    "LOINC": "http://loinc.org",
    "LN": "http://loinc.org",
    "SNOMED": "http://snomed.info/sct",
    "SCT": "http://snomed.info/sct",
    "ICD-10": "http://hl7.org/fhir/sid/icd-10",
    "MDC": "urn:iso:std:iso:11073:10101",
}
"""Of the terminologies that a manifest names before the colon of a code; of others the class's own."""
_HL7 = "http://terminology.hl7.org/CodeSystem/"
_ECG_STUDY = {"system": "http://loinc.org", "code": "11524-6", "display": "EKG study"}
_NO_UNIT = {"system": "http://unitsofmeasure.org", "code": "1"}


class FhirWriter:
    """A file for each result."""

    def add(self, result: Result) -> Iterable[Chunk]:
        """`<recording>_<model>_<preprocessing>.fhir.json`."""
        data = msgspec.json.format(msgspec.json.encode(bundle(result)), indent=1)
        return [Chunk(file=f"{file_stem(result)}.fhir.json", data=data)]

    def finish(self) -> Iterable[Chunk]:
        """Nothing is left."""
        return []


def writer() -> FhirWriter:
    """A writer for one export."""
    return FhirWriter()


def bundle(result: Result) -> Json:
    """The Bundle, of type collection; equal results give equal ones."""
    device, report = identity(result, "device"), identity(result, "report")
    found = [identity(result, f"finding {i}") for i in range(len(result.prediction.findings))]
    observations = [_observation(result, x, device) for x in result.prediction.findings]
    entries: list[tuple[uuid.UUID, Json]] = [
        (report, _report(result, found)),
        *zip(found, observations, strict=True),
        (device, _device(result)),
        (identity(result, "provenance"), _provenance(result, device, [report, *found])),
    ]
    return {
        "resourceType": "Bundle",
        "id": str(identity(result, "bundle")),
        "identifier": {"system": "urn:ietf:rfc:3986", "value": identity(result, "bundle").urn},
        "type": "collection",
        "timestamp": recorded(result).isoformat(),
        "entry": [
            {"fullUrl": place.urn, "resource": {**resource, "id": str(place)}} for place, resource in entries
        ],
    }


def _report(result: Result, found: list[uuid.UUID]) -> Json:
    origin, answer = result.provenance, result.prediction
    report: Json = {
        "resourceType": "DiagnosticReport",
        "text": _narrative(result),
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": identity(result, "report").urn}],
        "status": "preliminary",
        "category": [{"coding": [{"system": f"{_HL7}v2-0074", "code": "EC"}]}],
        "code": {"coding": [_ECG_STUDY], "text": "ECG, analysed by a model"},
        "subject": _subject(result),
        "issued": recorded(result).isoformat(),
        "performer": [_performer(result)],
        "conclusion": "\n".join(_conclusion(result)),
        "extension": [_text_extension("notice", origin.notice)],
    }
    if found:
        report["result"] = [{"reference": x.urn} for x in found]
    report["extension"] += [_text_extension("quality-flag", x) for x in answer.quality.flags]
    if answer.ood is not None:
        report["extension"].append(
            {"url": "urn:exchangeai:ood-percentile", "valueDecimal": round(answer.ood.percentile, 2)}
        )
    return report


def _conclusion(result: Result) -> list[str]:
    answer = result.prediction
    present = [x.name for x in answer.findings if x.present]
    said = [f"Present: {', '.join(present)}."] if present else []
    if answer.findings and not present and answer.findings[0].value is None:
        said = ["None of the classes is present."]
    said += [f"Not judged: {x.text}." for x in answer.refusals]
    said += [f"Signal quality {answer.quality.verdict.value}: {x}." for x in answer.quality.reasons]
    return [*said, *(f"{x}." for x in answer.notes), result.provenance.notice]


def _observation(result: Result, found: Finding, device: uuid.UUID) -> Json:
    observation: Json = {
        "resourceType": "Observation",
        "status": "preliminary",
        "category": [{"coding": [{"system": f"{_HL7}observation-category", "code": "procedure"}]}],
        "code": {"coding": _codings(found), "text": found.name},
        "subject": _subject(result),
        "issued": recorded(result).isoformat(),
        "performer": [_performer(result)],
        "device": {"reference": device.urn},
        "note": [{"text": result.provenance.notice}],
    }
    if found.value is not None:
        observation["valueQuantity"] = {"value": found.value}
        if found.low is not None and found.high is not None:
            observation["component"] = [
                _component("bound below", found.low), _component("bound above", found.high)
            ]  # fmt: skip
        return observation
    observation["valueQuantity"] = {"value": found.probability, "unit": "probability", **_NO_UNIT}
    observation["interpretation"] = [_interpretation(found)]
    observation["component"] = [_component("threshold", found.threshold)]
    if found.conformal is not None:
        observation["component"].append(
            {"code": {"text": "conformal verdict"}, "valueString": found.conformal.value}
        )
    return observation


def _codings(found: Finding) -> list[Json]:
    own = {"system": OWN_CODES, "code": " ".join(found.name.split()) or "unnamed", "display": found.name}
    terminology, _, code = found.code.partition(":")
    system = _SYSTEMS.get(terminology.upper())
    return [{"system": system, "code": code}, own] if system and code else [own]


def _interpretation(found: Finding) -> Json:
    code = "POS" if found.present else "NEG"
    if found.conformal is ConformalVerdict.UNDECIDED:
        code = "IND"
    return {"coding": [{"system": f"{_HL7}v3-ObservationInterpretation", "code": code}]}


def _component(what: str, value: float) -> Json:
    return {"code": {"text": what}, "valueQuantity": {"value": value}}


def _device(result: Result) -> Json:
    origin = result.provenance
    return {
        "resourceType": "Device",
        "identifier": [{"system": MODEL, "value": origin.model_digest}],
        "deviceName": [{"name": origin.model_name, "type": "user-friendly-name"}],
        "version": [
            {"type": {"text": "model"}, "value": str(origin.model_version)},
            {"type": {"text": "code"}, "value": origin.code_version},
            {"type": {"text": "preprocessing"}, "value": origin.preprocessing_version},
            {"type": {"text": "ONNX Runtime"}, "value": origin.runtime_version},
        ],
        "note": [{"text": origin.notice}],
    }


def _provenance(result: Result, device: uuid.UUID, made: list[uuid.UUID]) -> Json:
    source = {"identifier": {"system": RECORDING, "value": result.provenance.input_digest}}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": x.urn} for x in made],
        "recorded": recorded(result).isoformat(),
        "activity": {"text": "a model was run on a recording"},
        "agent": [
            {
                "type": {"coding": [{"system": f"{_HL7}provenance-participant-type", "code": "performer"}]},
                "who": {"reference": device.urn},
            }
        ],
        "entity": [{"role": "source", "what": source}],
    }


def _subject(result: Result) -> Json:
    return {"identifier": {"system": RECORDING, "value": result.recording_id}}


def _performer(result: Result) -> Json:
    """By name: R4 has no devices among performers. Observations and Provenance refer to the device."""
    return {"display": f"{result.provenance.model_name}:{result.provenance.model_version} (a model)"}


def _narrative(result: Result) -> Json:
    lines = "".join(f"<p>{html.escape(x)}</p>" for x in _conclusion(result))
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{lines}</div>'}


def _text_extension(name: str, value: str) -> Json:
    return {"url": f"urn:exchangeai:{name}", "valueString": value}
