"""ECG leads in DICOM: by code first, because meanings are free text."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

from exchangeai.leads import canonical_lead

_NUMBERS = {
    1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6",
    61: "III", 62: "aVR", 63: "aVL", 64: "aVF",
}  # fmt: skip
"""ECG lead numbers of EN 1064, used by SCPECG (`5.6.3-9-n`) and MDC (`2:n`); PS3.16 CID 3001."""
_PREFIXES = {"SCPECG": "5.6.3-9-", "MDC": "2:"}


def lead_name(channel: Dataset) -> str:
    """Standard name by code, else by meaning, else the channel's label; may be empty."""
    sources: Sequence[Dataset] = channel.get("ChannelSourceSequence") or ()
    for source in sources:
        scheme = str(source.get("CodingSchemeDesignator", "") or "").strip()
        code = str(source.get("CodeValue", "") or "").strip()
        prefix = _PREFIXES.get(scheme)
        number = code.removeprefix(prefix) if prefix and code.startswith(prefix) else ""
        if number.isdigit() and int(number) in _NUMBERS:
            return _NUMBERS[int(number)]
        meaning = str(source.get("CodeMeaning", "") or "").strip()
        if meaning:
            return canonical_lead(meaning)
    return canonical_lead(str(channel.get("ChannelLabel", "") or ""))
