"""Names of DICOM channels: by code first, because meanings are free text."""

from __future__ import annotations

from exchangeai.formats._dicom_elements import items, text
from exchangeai.formats._dicom_walk import Item
from exchangeai.formats._scp_leads import lead_of_number
from exchangeai.leads import canonical_lead

_PREFIXES = {"SCPECG": "5.6.3-9-", "MDC": "2:"}
"""Lead numbers of EN 1064 under both coding schemes of PS3.16 CID 3001 (`5.6.3-9-n`, `2:n`)."""


def lead_name(channel: Item) -> str:
    """Standard name by code, else by meaning, else the channel's label; may be empty."""
    sources = items(channel, "ChannelSourceSequence")
    for source in sources:
        if name := _coded(source):
            return name
    for source in sources:
        meaning = text(source, "CodeMeaning")
        if meaning:
            return canonical_lead(meaning)
    return canonical_lead(text(channel, "ChannelLabel"))


def is_ecg_channel(channel: Item) -> bool:
    """Whether its source is coded as a lead of an ECG."""
    sources = items(channel, "ChannelSourceSequence")
    return any(_coded(x) for x in sources)


def _coded(source: Item) -> str | None:
    prefix = _PREFIXES.get(text(source, "CodingSchemeDesignator"))
    code = text(source, "CodeValue")
    if prefix is None or not code.startswith(prefix):
        return None
    number = code.removeprefix(prefix)
    return lead_of_number(int(number)) if number.isdigit() and len(number) <= 3 else None
