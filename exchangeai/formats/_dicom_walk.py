"""Elements of a DICOM data set, found by one walk over its bytes (PS3.5 chapter 7).

It notes where values lie and converts none: pydicom makes objects of every element and item, which took four
fifths of a read. A data set that ends early gives what is whole, and says so.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from exchangeai.errors import InvalidHeader, TooLarge, Truncated

WAVEFORM_SEQUENCE = 0x5400_0100
WAVEFORM_DATA = 0x5400_1010
_CHARACTER_SETS = 0x0008_0005
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
_UNDEFINED = 0xFFFF_FFFF
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
"""Value representations with a length of four bytes behind two that are reserved."""
_BYTES = frozenset((b"OB", b"OW"))
_OF_USE_WHEN_CUT = frozenset((WAVEFORM_SEQUENCE, WAVEFORM_DATA))
"""A part of any other value may say another thing than the whole."""
_MAX_DEPTH = 32
_META = 2
_MAX_NOTED = 1 << 20
"""Elements of a file: each takes many times the memory of its eight bytes."""
_ITEM_COUNTS = 3
"""So many elements an item takes in time and memory."""


@dataclass(kw_only=True)
class Source:
    """The bytes of a data set and how they are written."""

    data: bytes
    order: str = "<"
    cut: bool = False
    """Set where an element or item, of those looked at, ends behind what holds it."""
    noted: int = 0
    """Elements so far, and items for some each."""
    head: struct.Struct = field(init=False)
    """Of an element with an explicit VR: group, number, VR, short length."""
    length: struct.Struct = field(init=False)
    mark: struct.Struct = field(init=False)

    def __post_init__(self) -> None:
        self.head = struct.Struct(self.order + "HH2sH")
        self.length = struct.Struct(self.order + "I")
        self.mark = struct.Struct(self.order + "HHI")


class Item:
    """A data set, or an item of one of its sequences: begin and end of values by tag.

    Written out, because a file has hundreds and a generated constructor takes longer than reading one.
    """

    __slots__ = ("character_sets", "depth", "explicit", "places", "sequences", "source", "whole")

    def __init__(self, source: Source, depth: int, character_sets: bytes, explicit: bool) -> None:
        """`character_sets` are those stated further out."""
        self.source = source
        self.depth = depth
        self.character_sets = character_sets
        self.explicit = explicit
        self.whole = True
        self.places: dict[int, tuple[int, int]] = {}
        self.sequences: dict[int, Sequence[Item]] = {}

    def raw(self, tag: int) -> bytes | None:
        """The bytes of a value, None where the element is absent."""
        place = self.places.get(tag)
        return None if place is None else self.source.data[place[0] : place[1]]

    def items(self, tag: int) -> Sequence[Item]:
        """The items of a sequence, () where it is absent.

        Raises Truncated where they contradict the lengths of a file that is whole.
        """
        found = self.sequences.get(tag)
        if found is None:
            place = self.places.get(tag)
            found = () if place is None else _items(self, *place, closed=False)[0]
            self.sequences[tag] = found
        return found


def meta_group(data: bytes, begin: int) -> tuple[Item, int]:
    """The file's meta group, which is explicit little endian in every file, and where it ends."""
    item = Item(Source(data=data), 0, b"", explicit=True)
    return item, _walk(item, begin, len(data), len(data), group=_META)


def data_set(source: Source, begin: int, *, explicit: bool) -> Item:
    """The data set from `begin` to the end of the bytes."""
    # Writers exist that state one of the two and write the other.
    item = Item(source, 0, b"", explicit=shows_vr(source.data, begin, otherwise=explicit))
    end = _walk(item, begin, len(source.data), len(source.data))
    if source.data[end:].strip(b"\0"):
        source.cut = True
    return item


def _walk(item: Item, begin: int, end: int, limit: int, *, group: int = -1) -> int:
    """Note the elements from `begin`; returns where the next thing begins.

    They reach to the delimiter of an item or the end of `group`, else to `end`, behind which the last value
    may go on where writers miscounted an item, but not behind `limit`.
    """
    source, places, explicit = item.source, item.places, item.explicit
    data, head, long = source.data, source.head.unpack_from, source.length.unpack_from
    at = begin
    while at < end and at + 8 <= limit:
        major, minor, vr, length = head(data, at)
        tag = major << 16 | minor
        if tag == _ITEM_END:
            return at + 8
        if major != group >= 0:
            return at
        at += 8
        if not explicit or not b"AA" <= vr <= b"ZZ":
            vr, length = b"", long(data, at - 4)[0]
        elif vr in _LONG:
            length = long(data, at)[0] if at + 4 <= limit else 0
            at += 4
        if length == _UNDEFINED:
            at = _pass_over(item, at, limit) if vr in _BYTES else _nested(item, tag, at, limit)
            continue
        stop = at + length
        if stop > limit:
            _ends_early(item, limit)
            if tag in _OF_USE_WHEN_CUT:
                places[tag] = (at, limit)
            return limit
        places[tag] = (at, stop)
        if len(places) > _MAX_NOTED:
            raise _too_many()
        if tag == _CHARACTER_SETS:
            item.character_sets = data[at:stop]
        at = stop
    return at


def _nested(item: Item, tag: int, at: int, limit: int) -> int:
    """A sequence up to its delimiter; returns where the next element begins."""
    item.sequences[tag], at = _items(item, at, limit, closed=True)
    return at


def _pass_over(item: Item, at: int, limit: int) -> int:
    """Fragments of bytes (pictures) up to a delimiter; returns where the next element begins."""
    while at + 8 <= limit:
        major, minor, length = item.source.mark.unpack_from(item.source.data, at)
        at += 8 + length
        if major << 16 | minor == _SEQUENCE_END:
            return at
    _ends_early(item, limit)
    return limit


def _items(item: Item, at: int, limit: int, *, closed: bool) -> tuple[Sequence[Item], int]:
    """Items up to `limit`, or to a delimiter where they are `closed` by one; and where they end."""
    source, depth = item.source, item.depth + 1
    if depth > _MAX_DEPTH:
        raise InvalidHeader(f"the DICOM file nests sequences deeper than {_MAX_DEPTH}; export it again")
    data, mark = source.data, source.mark.unpack_from
    found: list[Item] = []
    while at + 8 <= limit:
        major, minor, length = mark(data, at)
        at += 8
        if major << 16 | minor == _SEQUENCE_END:
            return found, at
        # A sequence of an explicit file may be implicit, but none the other way round.
        explicit = item.explicit and shows_vr(data, at, otherwise=True)
        one = Item(source, depth, item.character_sets, explicit)
        found.append(one)
        if major << 16 | minor != _ITEM:
            _ends_early(one, limit)
            at = limit
        elif length == _UNDEFINED:
            at = _walk(one, at, limit, limit)
            if not _closed(source, at):
                _ends_early(one, limit)
        else:
            stop = at + length
            if stop > limit:
                _ends_early(one, limit)
                stop = limit
            at = max(stop, _walk(one, at, stop, limit))
        item.whole &= one.whole
        source.noted += _ITEM_COUNTS + len(one.places)
        if source.noted > _MAX_NOTED:
            raise _too_many()
    if closed or at < limit:
        _ends_early(item, limit)
    return found, limit


def _too_many() -> TooLarge:
    return TooLarge(f"the DICOM file holds more than {_MAX_NOTED} elements; export it without annotations")


def _closed(source: Source, at: int) -> bool:
    major, minor, _ = source.mark.unpack_from(source.data, at - 8)
    return major << 16 | minor == _ITEM_END


def _ends_early(item: Item, limit: int) -> None:
    """What should end in the item goes on behind `limit`: an end of the file, or its contradiction."""
    if limit < len(item.source.data):
        raise Truncated("a DICOM element is longer than the sequence that holds it; send the whole file")
    item.whole = False
    item.source.cut = True


def shows_vr(data: bytes, at: int, *, otherwise: bool) -> bool:
    """Whether the element there has letters where its VR would be; `otherwise` where nothing is there."""
    vr = data[at + 4 : at + 6]
    return vr.isalpha() and vr.isupper() if len(vr) == 2 else otherwise
