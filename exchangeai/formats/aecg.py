"""HL7 v3 Annotated ECG (ANSI/HL7 V3 ECG R1): rhythm and derived series, annotation sets, the subject."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from exchangeai.errors import EmptyFile, Truncated
from exchangeai.formats._aecg_annotations import Findings, findings_of
from exchangeai.formats._aecg_series import SequenceSet, sequence_sets
from exchangeai.formats._aecg_values import (
    Instant,
    attribute,
    begin_of,
    child,
    code_of,
    descend,
    instant,
    quantity,
    years,
)
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import age_between, identifier_of, model_of, pooled_age, sex_of, year_of
from exchangeai.formats._xml import parse_available, root_name
from exchangeai.recording import Filters, Identifiers, Patient, Recording, Series

RANK = 20

_RHYTHM = "RHYTHM"
_BEAT = "REPRESENTATIVE_BEAT"
_AGE = "21612-7"
"""LOINC: age as reported, in years."""
_CLOSED_SET = re.compile(rb"</(?:[\w.\-]+:)?sequenceSet\s*>")
_CUTOFFS = ("FILTER_CUTOFF_FREQ", "FILTER_NOTCH_FREQ")


def sniff(files: Mapping[str, bytes]) -> bool:
    """Whether the one file is XML with the root `AnnotatedECG`."""
    return len(files) == 1 and root_name(next(iter(files.values()))) == "AnnotatedECG"


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """One recording: the first rhythm is its leads; further rhythms and beats are other series.

    Rates are exact, as the increment of the time axis writes them; leads without values are missing (NaN).
    Raises EmptyFile without a rhythm, MissingMetadata for leads without a time axis or a unit, Truncated and
    InvalidHeader.
    """
    data = next(iter(files.values()))
    root, warnings = parse_available(data, strict=options.strict)
    cut = bool(warnings)
    if cut:
        _drop_open_sets(root, data)
    rhythms: list[tuple[Any, SequenceSet]] = []
    beats: list[tuple[Any, SequenceSet]] = []
    for node, is_beat in _series(root):
        sets = sequence_sets(node, options, warnings)
        (beats if is_beat else rhythms).extend((node, x) for x in sets)
    if cut and not rhythms:
        raise Truncated("the XML ends before its rhythm series does; send the whole file")
    if not rhythms:
        raise EmptyFile(
            "the aECG holds no rhythm series with samples"
            + (", only a representative beat" if beats else "")
            + "; export it with its waveforms"
        )
    main_node, main = rhythms[0]
    findings = [findings_of(main_node, main.start, main.offset_s, is_beat=False)]
    first_sets: dict[Any, SequenceSet] = {}
    for node, beat in beats:
        first_sets.setdefault(node, beat)
    for node, beat in first_sets.items():
        findings.append(findings_of(node, None, beat.offset_s, is_beat=True))
    begin = begin_of(child(root, "effectiveTime")) or main.start
    recording = Recording(
        format="aecg",
        leads=main.leads,
        patient=_patient(root, begin, warnings),
        acquisition_year=year_of(begin.date) if begin else None,
        device_model=_model(main_node),
        filters=_filters(main_node),
        other_series=(
            *(Series(kind="rhythm", leads=x.leads, start_s=_delay_s(main, x)) for _, x in rhythms[1:]),
            *(Series(kind="median", leads=x.leads) for _, x in beats),
        ),
        annotations=tuple(sorted(findings[0].annotations, key=lambda x: x.onset_s)),
        device_measurements=_measurements(findings),
        device_statements=tuple(dict.fromkeys(x for one in findings for x in one.statements)),
        warnings=tuple(warnings),
    )
    return [ReadResult(recording=recording, identifiers=Identifiers(patient_id=_patient_id(root)))]


def _series(root: Any) -> Iterator[tuple[Any, bool]]:
    """Series and derived series in the order of the file, and whether each is a representative beat."""
    for node in root.iter("{*}series", "{*}derivedSeries"):
        code = code_of(node).upper()
        derived = node.tag.rpartition("}")[2] == "derivedSeries"
        yield node, code == _BEAT or (derived and code != _RHYTHM)


def _drop_open_sets(root: Any, data: bytes) -> None:
    """Leave only the sequence sets of a cut file that it closes: others may lack leads as well as samples."""
    for node in list(root.iter("{*}sequenceSet"))[len(_CLOSED_SET.findall(data)) :]:
        node.getparent().remove(node)


def _delay_s(main: SequenceSet, later: SequenceSet) -> float | None:
    if main.start is None or later.start is None:
        return None
    return later.start.seconds_since(main.start)


def _measurements(findings: list[Findings]) -> dict[str, float]:
    """What was measured of the rhythm, else of the representative beat, else of its single beats."""
    found: dict[str, float] = {}
    for part in (*(x.measured for x in findings), *(x.typical() for x in findings)):
        found |= {key: value for key, value in part.items() if key not in found}
    return found


def _subject(root: Any) -> Any:
    return next(root.iter("{*}trialSubject"), None)


def _patient_id(root: Any) -> str | None:
    number = child(_subject(root), "id")
    return identifier_of(attribute(number, "extension") or attribute(number, "root"))


def _patient(root: Any, begin: Instant | None, warnings: list[str]) -> Patient:
    person = child(_subject(root), "subjectDemographicPerson")
    gender = child(person, "administrativeGenderCode")
    sex = sex_of(attribute(gender, "code")) or sex_of(attribute(gender, "displayName"))
    return Patient(sex=sex, age_years=_age(root, person, begin, warnings))


def _age(root: Any, person: Any, begin: Instant | None, warnings: list[str]) -> int | None:
    born = instant(attribute(child(person, "birthTime"), "value"))
    if born and born.day_known and begin and begin.day_known:
        return age_between(born.date, begin.date)
    for node in root.iter("{*}relatedObservation"):
        if code_of(node) == _AGE and (stated := quantity(child(node, "value"))):
            return pooled_age(years(*stated))
    if born and begin:
        warnings.append("the age is the difference of two years, because the file states no day of birth")
        return pooled_age(begin.date.year - born.date.year)
    return None


def _model(series: Any) -> str | None:
    name = descend(series, "author", "seriesAuthor", "manufacturedSeriesDevice", "manufacturerModelName")
    return model_of(name.text or "") if name is not None else None


def _filters(series: Any) -> Filters:
    found: dict[str, float] = {}
    for outer in series.iterchildren("{*}controlVariable"):
        for variable in outer.iterchildren("{*}controlVariable"):
            kind = code_of(variable).upper().rpartition("FILTER_")[2]
            for part in variable.iter("{*}controlVariable"):
                pair = quantity(child(part, "value"))
                if pair and pair[0] > 0 and code_of(part).upper().endswith(_CUTOFFS):
                    found.setdefault(kind, pair[0] * (1e3 if pair[1] == "kHz" else 1.0))
    return Filters(
        highpass_hz=found.get("HIGH_PASS"), lowpass_hz=found.get("LOW_PASS"), notch_hz=found.get("NOTCH")
    )
