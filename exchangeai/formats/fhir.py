"""FHIR R4 and R5 JSON: Observations with SampledData, alone, contained, in Bundles or one a line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exchangeai.errors import EmptyFile, InvalidHeader
from exchangeai.formats._fhir_codes import lead_name, measurement
from exchangeai.formats._fhir_json import Json, items, mapping, resources, text
from exchangeai.formats._fhir_sampled import leads_of_sampled
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import age_between, date_of, identifier_of, model_of, sex_of
from exchangeai.leads import STANDARD_12
from exchangeai.recording import Identifiers, Lead, Patient, Recording

RANK = 25

_HEAD_BYTES = 1 << 16
_MAX_LEADS = 1024
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class _Others:
    """Resources that Observations refer to, by all names by which they can."""

    patients: dict[str, Json] = field(default_factory=dict[str, Json])
    devices: dict[str, Json] = field(default_factory=dict[str, Json])


def sniff(files: Mapping[str, bytes]) -> bool:
    """Whether the one file is a JSON object with a `resourceType`."""
    if len(files) != 1:
        return False
    data = next(iter(files.values()))
    head = data[:_HEAD_BYTES].removeprefix(_BOM).lstrip()
    return head[:1] == b"{" and (b'"resourceType"' in head or b'"resourceType"' in data[-_HEAD_BYTES:])


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """A recording for each Observation with SampledData; those of one lead each and one time are one.

    Raises EmptyFile when there is none, MissingMetadata, Truncated and InvalidHeader.
    """
    observations: list[Json] = []
    others = _Others()
    for url, resource in resources(next(iter(files.values()))):
        kind, own = text(resource.get("resourceType")), text(resource.get("id"))
        known = {"Patient": others.patients, "Device": others.devices}.get(kind)
        if known is not None:
            known |= {x: resource for x in (url, f"{kind}/{own}" if own else "") if x}
        if kind == "Observation" and _sampled(resource):
            observations.append(resource)
    if not observations:
        raise EmptyFile(
            "the FHIR resources hold no Observation with SampledData; "
            "an ECG as a document or picture cannot be read"
        )
    return [_result(x, others, options) for x in _together(observations)]


def _sampled(observation: Json) -> list[tuple[str, Json]]:
    """Name and SampledData of the Observation itself and of its components."""
    parts = [observation, *(mapping(x) for x in items(observation.get("component")))]
    return [
        (lead_name(x.get("code")), mapping(x["valueSampledData"]))
        for x in parts
        if mapping(x.get("valueSampledData")).get("data") is not None
    ]


def _together(observations: Sequence[Json]) -> list[list[Json]]:
    """Observations that are one ECG: of one standard lead each, of the same person at the same time."""
    groups: dict[tuple[str, ...], list[Json]] = {}
    for i, observation in enumerate(observations):
        parts, at, who = _sampled(observation), _effective(observation), _subject(observation)
        single = len(parts) == 1 and parts[0][0] in STANDARD_12 and at and who
        key = (at, who) if single else (str(i),)
        held = groups.setdefault(key, [])
        if single and parts[0][0] in {x for other in held for x, _ in _sampled(other)}:
            # A second recording of that lead: by itself.
            groups[str(i), "again"] = [observation]
        else:
            held.append(observation)
    return list(groups.values())


def _result(group: Sequence[Json], others: _Others, options: ReadOptions) -> ReadResult:
    first = group[0]
    warnings: list[str] = []
    leads: list[Lead] = []
    for name, data in (x for observation in group for x in _sampled(observation)):
        if len(leads) >= _MAX_LEADS:
            raise InvalidHeader(f"an Observation holds more than {_MAX_LEADS} leads")
        leads += leads_of_sampled(data, name, options, warnings)
    measured = [measurement(mapping(x)) for observation in group for x in items(observation.get("component"))]
    person = others.patients.get(_subject(first), {})
    year = re.match(r"(?:19|20)\d\d(?!\d)", _effective(first))
    recording = Recording(
        format="fhir",
        leads=tuple(leads),
        patient=Patient(
            sex=sex_of(text(person.get("gender"))),
            age_years=age_between(date_of(text(person.get("birthDate"))), date_of(_effective(first))),
        ),
        acquisition_year=int(year[0]) if year else None,
        device_model=_device(first, others),
        device_measurements=dict(x for x in measured if x is not None),
        device_statements=_statements(group),
        warnings=tuple(dict.fromkeys(warnings)),
    )
    return ReadResult(recording=recording, identifiers=_identifiers(first, person))


def _identifiers(observation: Json, person: Json) -> Identifiers:
    subject = mapping(observation.get("subject"))
    patient = _first_identifier(person) or text(mapping(subject.get("identifier")).get("value"))
    return Identifiers(
        patient_id=identifier_of(patient or _subject(observation).rpartition("/")[2].lstrip("#")),
        record_id=identifier_of(_first_identifier(observation) or text(observation.get("id"))),
    )


def _first_identifier(resource: Json) -> str:
    values = (text(mapping(x).get("value")) for x in items(resource.get("identifier")))
    return next((x for x in values if x), "")


def _subject(observation: Json) -> str:
    subject = mapping(observation.get("subject"))
    reference = text(subject.get("reference"))
    return reference or text(mapping(subject.get("identifier")).get("value"))


def _effective(observation: Json) -> str:
    period = mapping(observation.get("effectivePeriod"))
    candidates = (
        observation.get("effectiveDateTime"),
        observation.get("effectiveInstant"),
        period.get("start"),
    )
    return next((text(x) for x in candidates if text(x)), "")


def _device(observation: Json, others: _Others) -> str | None:
    """The model of the device, R4 or R5, or how the Observation calls it."""
    reference = mapping(observation.get("device"))
    device = others.devices.get(text(reference.get("reference")), {})
    names = [text(device.get("modelNumber"))]
    for named in (mapping(x) for key in ("deviceName", "name") for x in items(device.get(key))):
        # Other types are what people call their device.
        if "model-name" in str(named.get("type")):
            names.append(text(named.get("value")) or text(named.get("name")))
    names.append(text(reference.get("display")))
    return model_of(next((x for x in names if x), ""))


def _statements(group: Sequence[Json]) -> tuple[str, ...]:
    """Texts of the interpretations; notes are not read, because people write them."""
    found: list[str] = []
    for concept in (mapping(x) for observation in group for x in items(observation.get("interpretation"))):
        shown = [text(mapping(x).get("display")) for x in items(concept.get("coding"))]
        found += [x for x in (text(concept.get("text")), *shown) if x][:1]
    return tuple(dict.fromkeys(found))
