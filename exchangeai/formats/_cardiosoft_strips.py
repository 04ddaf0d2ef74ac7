"""Samples of GE CardioSoft XML: strips and medians with one text per lead, and the full disclosure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidHeader
from exchangeai.formats._number_text import numbers_in, scaled
from exchangeai.formats._options import ReadOptions
from exchangeai.formats._rates import checked_rate
from exchangeai.formats._stated import rate_of, scale_of
from exchangeai.formats._stored_length import shortfall
from exchangeai.formats._units import mv_per
from exchangeai.formats._xml_fields import number, number_of, text_of
from exchangeai.leads import canonical_lead
from exchangeai.recording import Lead

Kind = Literal["strip", "median", "full disclosure"]
_Seen = dict[tuple[Any, str], Any]
"""Elements by parent and name, so that many strips do not look through the same parent again and again."""
_MAX_LEADS = 1024
_MAX_STRIPS = 1024
_PER_LSB = "perlsb"
_LIMB = ("I", "II", "III")


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Leads that were recorded together."""

    kind: Kind
    leads: tuple[Lead, ...]
    start_s: float | None
    node: Any


def clock_s(node: Any) -> float | None:
    """Seconds of a time that is written as children `Minute` and `Second`."""
    minute, second = number_of(node, "Minute"), number_of(node, "Second")
    return None if minute is None and second is None else 60 * (minute or 0.0) + (second or 0.0)


def strips(root: Any, options: ReadOptions, warnings: list[str], *, cut: bool) -> list[Strip]:
    """Everything that holds samples, in the order of the file; where it is cut, only what has all leads.

    Raises MissingMetadata for a rate or a resolution that is not stated, Truncated and InvalidHeader.
    """
    found: list[Strip] = []
    seen: _Seen = {}
    holders = dict.fromkeys(x.getparent() for x in root.iterdescendants("WaveformData"))
    disclosed = root.findall(".//FullDisclosure")
    if len(holders) + len(disclosed) > _MAX_STRIPS:
        raise InvalidHeader(f"the file holds more than {_MAX_STRIPS} strips; export it in parts")
    for holder in holders:
        if cut and number_of(holder, "NumberOfLeads") != len(holder.findall("WaveformData")):
            continue
        leads = _leads(holder, options, warnings, seen)
        if leads:
            kind: Kind = "median" if holder.tag.startswith("Median") or _within_median(holder) else "strip"
            found.append(Strip(kind=kind, leads=leads, start_s=clock_s(holder.find("Time")), node=holder))
    for holder in disclosed if not cut else ():
        leads = _full_disclosure(holder, options, warnings, seen)
        if leads:
            start_s = clock_s(holder.find("StartTime"))
            found.append(Strip(kind="full disclosure", leads=leads, start_s=start_s, node=holder))
    return found


def _within_median(node: Any) -> bool:
    return any(x.tag.startswith("Median") for x in node.iterancestors())


def _leads(holder: Any, options: ReadOptions, warnings: list[str], seen: _Seen) -> tuple[Lead, ...]:
    nodes = [x for x in holder.findall("WaveformData") if x.text]
    if len(nodes) > _MAX_LEADS:
        raise InvalidHeader(f"a strip holds {len(nodes)} leads; at most {_MAX_LEADS} are read")
    stored = [numbers_in(x.text) for x in nodes]
    if not any(x.size for x in stored):
        return ()
    rate_hz, scale = _rate(holder, options, seen), _scale(holder, options, seen)
    declared = number(_stated(holder, "ChannelSampleCountTotal", seen))
    if declared is not None and declared > 0:
        warnings += shortfall([(x.size, int(declared)) for x in stored], strict=options.strict)
        if any(x.size > declared for x in stored):
            warnings.append("a lead holds more samples than it declares; what is over is left out")
            stored = [x[: int(declared)] for x in stored]
    valid = _valid(holder)
    names = (x.get("lead") or x.get("Lead") or "" for x in nodes)
    return tuple(
        _lead(name, i, x, scale, rate_hz, valid)
        for i, (name, x) in enumerate(zip(names, stored, strict=True))
    )


def _full_disclosure(holder: Any, options: ReadOptions, warnings: list[str], seen: _Seen) -> tuple[Lead, ...]:
    data = holder.find("FullDisclosureData")
    names = [x.strip() for x in text_of(holder, "LeadOrder").split(",") if x.strip()]
    if data is None or not names or len(names) > _MAX_LEADS:
        return ()
    text = "".join(x or "" for x in (data.text, *(child.tail for child in data)))
    stored = numbers_in(text)
    if not stored.size:
        return ()
    rate_hz, scale = _rate(holder, options, seen), _scale(holder, options, seen)
    declared = number_of(data, "SampleCountTotal")
    if declared is not None and declared > 0:
        warnings += shortfall([(stored.size, int(declared))], strict=options.strict)
    table = _by_lead(stored, text, names, rate_hz)
    if table is None:
        warnings.append("the full disclosure is left out: its order of samples cannot be told")
        return ()
    return tuple(_lead(name, i, table[i], scale, rate_hz, None) for i, name in enumerate(names))


def _by_lead(
    stored: npt.NDArray[Any], text: str, names: Sequence[str], rate_hz: float
) -> npt.NDArray[Any] | None:
    """Samples as [leads, samples], whole blocks only.

    CardioSoft writes blocks, one line of text per lead, of one second each; other software writes one sample
    of every lead at a time. Einthoven's law tells them apart; where it cannot, lines must be of one length.
    """
    places = {canonical_lead(x): i for i, x in enumerate(names)}
    if not all(x in places for x in _LIMB):
        per_line = {
            x.count(",") + (not x.rstrip().endswith(",")) for x in text.splitlines() if x.strip(" \t,")
        }
        return _table(stored, len(names), per_line.pop()) if len(per_line) == 1 else None
    one, two, three = (places[x] for x in _LIMB)
    for size in (round(rate_hz), 1):
        table = _table(stored, len(names), size)
        # III = II - I, each rounded on its own.
        if table is not None and np.abs(table[two] - table[one] - table[three]).mean() <= 2.0:
            return table
    return None


def _table(stored: npt.NDArray[Any], leads: int, size: int) -> npt.NDArray[Any] | None:
    """Samples as [leads, samples] from blocks of `size` samples of each lead in turn."""
    blocks = stored.size // (leads * max(size, 1))
    if not size or not blocks:
        return None
    part = stored[: blocks * leads * size].reshape(blocks, leads, size)
    return part.transpose(1, 0, 2).reshape(leads, -1)


def _lead(
    name: str,
    index: int,
    stored: npt.NDArray[Any],
    scale: float,
    rate_hz: float,
    valid: tuple[int, int] | None,
) -> Lead:
    samples = scaled(stored, scale)
    if valid is not None:
        samples[: valid[0]] = np.nan
        samples[valid[1] + 1 :] = np.nan
    shown = canonical_lead(name[:64]) or f"channel {index + 1}"
    return Lead(name=shown, samples=samples, sampling_rate_hz=rate_hz)


def _valid(holder: Any) -> tuple[int, int] | None:
    """First and last sample that count, where the file says so and they make sense."""
    first, last = number_of(holder, "FirstValid"), number_of(holder, "LastValid")
    return None if first is None or last is None or not 0 <= first < last else (int(first), int(last))


def _rate(holder: Any, options: ReadOptions, seen: _Seen) -> float:
    value = number(_stated(holder, "SampleRate", seen))
    return rate_of(options, None if value is None else checked_rate(value))


def _scale(holder: Any, options: ReadOptions, seen: _Seen) -> float:
    """Millivolts per count, from `<Resolution units="uVperLsb">`."""
    value = number(_stated(holder, "Resolution", seen))
    if value is None:
        return scale_of(options, " (and `unit_multiple`)") * options.unit_multiple
    if value == 0:
        raise InvalidHeader("the resolution of the samples is 0; export the file again")
    units = (_nearest(holder, "Resolution", seen).get("units") or "").strip().casefold()
    each = mv_per(units.removesuffix(_PER_LSB))
    return value * (scale_of(options) if each is None else each)


def _stated(holder: Any, name: str, seen: _Seen) -> str:
    node = _nearest(holder, name, seen)
    return "" if node is None else (node.text or "").strip()


def _nearest(holder: Any, name: str, seen: _Seen) -> Any:
    """A child of that name of the holder or, where strips share it, of what holds the holder."""
    for node in (holder, *holder.iterancestors()):
        if (node, name) not in seen:
            seen[node, name] = node.find(name)
        if seen[node, name] is not None:
            return seen[node, name]
    return None
