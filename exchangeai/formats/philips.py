"""Philips XML (`restingecgdata`, Sierra ECG 1.03 to 1.04.02): leads, beats, and what the device says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exchangeai.errors import InvalidHeader
from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._people import model_of, year_of
from exchangeai.formats._philips_facts import (
    acquired_on,
    filters,
    identifiers,
    marks,
    measurements,
    patient,
    statements,
)
from exchangeai.formats._philips_waveforms import representative_beats, rhythm
from exchangeai.formats._xml import parse_xml, root_name
from exchangeai.formats._xml_fields import text_of
from exchangeai.recording import Recording

RANK = 20

_VERSIONS = frozenset({"1.03", "1.04", "1.04.01", "1.04.02"})


def sniff(files: Mapping[str, bytes]) -> bool:
    """Whether the one file is XML with the root `restingecgdata`."""
    return len(files) == 1 and root_name(next(iter(files.values()))) == "restingecgdata"


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """One recording: the leads up to the calibration pulse, and the representative beats beside them.

    Raises EmptyFile without waveforms, MissingFile, MissingMetadata, Truncated and InvalidHeader.
    """
    root = parse_xml(next(iter(files.values())))
    warnings = _version_warnings(root, options)
    leads = rhythm(root, options, warnings)
    recording = Recording(
        format="philips",
        leads=leads,
        patient=patient(root),
        acquisition_year=year_of(acquired_on(root)),
        device_model=model_of(text_of(root, "{*}dataacquisition/{*}machine")),
        filters=filters(root),
        other_series=representative_beats(root, warnings),
        annotations=marks(root),
        device_measurements=measurements(root),
        device_statements=statements(root),
        warnings=tuple(dict.fromkeys(warnings)),
    )
    return [ReadResult(recording=recording, identifiers=identifiers(root))]


def _version_warnings(root: Any, options: ReadOptions) -> list[str]:
    if text_of(root, "{*}documentinfo/{*}documentversion") in _VERSIONS:
        return []
    if options.strict:
        raise InvalidHeader(
            "the file is of a version of Philips XML that is not known (known: 1.03, 1.04, 1.04.01, 1.04.02)"
        )
    return ["the file states a version of Philips XML that is not known: check the result"]
