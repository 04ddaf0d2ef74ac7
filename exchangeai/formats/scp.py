"""SCP-ECG (EN 1064, ISO 11073-91064): rhythm, reference beat, measurements and statements.

Leads stay as stored: a file with I, II and V1 to V6 has eight. What is not read is decimated rhythm ("bimodal
compression"); it is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping

from exchangeai.formats._options import ReadOptions, ReadResult
from exchangeai.formats._scp_facts import facts_of, measurements_of, statements_of
from exchangeai.formats._scp_sections import looks_like_scp, sections_of
from exchangeai.formats._scp_signals import signals_of
from exchangeai.recording import Recording

RANK = 4


def sniff(files: Mapping[str, bytes]) -> bool:
    """The mark `SCPECG` in section 0, or in old files a table of sections that points to itself."""
    return len(files) == 1 and looks_like_scp(next(iter(files.values())))


def read(files: Mapping[str, bytes], options: ReadOptions) -> list[ReadResult]:
    """Read one recording.

    Raises Truncated, InvalidHeader and EmptyFile; wrong checksums are warnings unless `options.strict`.
    """
    sections, warnings = sections_of(next(iter(files.values())), strict=options.strict)
    signals = signals_of(sections, strict=options.strict)
    body = {number: x.body for number, x in sections.items()}
    facts, odd = facts_of(body.get(1, b""))
    recording = Recording(
        format="scp",
        leads=signals.leads,
        patient=facts.patient,
        acquisition_year=facts.acquisition_year,
        device_model=facts.device_model,
        filters=facts.filters,
        other_series=signals.other_series,
        device_measurements=measurements_of(body.get(7, b"")),
        device_statements=statements_of(body.get(8, b""), body.get(11, b"")),
        warnings=(*warnings, *odd, *signals.warnings),
    )
    return [ReadResult(recording=recording, identifiers=facts.identifiers)]
