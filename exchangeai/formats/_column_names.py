"""What names of columns say: a lead with its unit, a time, a count of samples, or something else."""

from __future__ import annotations

import re

from exchangeai.formats._times import PER_S
from exchangeai.formats._units import mv_per

_UNIT = re.compile(
    r"[\s_]*[(\[{]\s*(?P<unit>[^)\]}]{0,16}?)\s*[)\]}]\s*$|[\s_/]+(?P<bare>[munµμ]?V)\s*$", re.I
)
_OTHER_UNIT = re.compile(
    r"mmhg|kpa|mbar|cmh2o|%|bpm|/min|1/min|beats/min|rpm|[mk]?ohm|Ω|°?[cf]|deg\w*|g|m/s\^?2|m/s²|l/min|ml|l|hz|"
    r"[muµμn]?s|[muµμ]?a|lux|nm|pm|k|bool|raw|adu|counts?|a\.?u\.?|n\.?u\.?|-",
    re.I,
)
_TIME_WORD = r"(?:elapsed[ _]?)?times?|tm?|timestamps?|timer|date[ _]?time|zeit|temps|x[ _]?axis"
_TIME = re.compile(rf"(?:{_TIME_WORD})(?:(?:[\s_/]+|[\s_]*[(\[]\s*)(?P<unit>[a-zµμ]+)\s*[)\]]?)?\W*", re.I)
_SAMPLE = re.compile(
    r"unnamed:? ?0|index|idx|nseq|#|no\.?|nr\.?|row|frame|"
    r"samples?[\s_]*(?:#|no\.?|nr\.?|num(?:ber)?|idx|index|id)?",
    re.I,
)
_OTHER = re.compile(
    r"resp\w*|ppg\w*|pleth\w*|spo2\w*|abp|art|cvp|pap|i?bp|nibp\w*|co2|etco2|temp\w*|acc\w*|gyr\w*|gsr|eda|"
    r"heart_?rate|[xyz]_?acc\w*|battery|event\w*|marker\w*|trigger\w*|status|quality|r_?peaks?|digital\w*",
    re.I,
)


def name_and_unit(name: str) -> tuple[str, str]:
    """The name without its unit, and the unit: `I (mV)`, `II [uV]`, `V1_mV`; "" where there is none."""
    found = _UNIT.search(name)
    if not found or not found.start():
        return name, ""
    unit = found["unit"] if found["unit"] is not None else found["bare"]
    if unit and mv_per(unit) is None and not _OTHER_UNIT.fullmatch(unit):
        return name, ""
    return name[: found.start()], unit


def time_unit(name: str, unit: str = "") -> float | None:
    """Units per second of a column of times; 0 when it states none, None when the name is no time."""
    if name.strip("()[] ").casefold() in PER_S and len(name) > 1:
        return PER_S[name.strip("()[] ").casefold()]
    found = _TIME.fullmatch(name.strip())
    if not found:
        return None
    word = (found["unit"] or unit.strip("()[] ")).casefold()
    return PER_S.get(word, 0 if not word else None)


def is_sample_number(name: str) -> bool:
    """Whether a name is that of a column that counts the samples."""
    return _SAMPLE.fullmatch(name.strip()) is not None


def is_other_quantity(name: str) -> bool:
    """Whether a name is plainly that of something else than a voltage."""
    return _OTHER.fullmatch(name.strip()) is not None
