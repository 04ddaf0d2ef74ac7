"""Damaged versions of good files: cut, flipped, spliced, with numbers and words that readers trip over.

The same format, sample and number always give the same mutant, so that a finding can be repeated by name.
"""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Mapping

Files = dict[str, bytes]
Edit = Callable[[random.Random, bytearray, int], None]

_HEADER_BYTES = 4096
_NUMBERS = (
    b"0", b"-1", b"1", b"2", b"255", b"65536", b"2147483647", b"2147483648", b"4294967295", b"99999999",
    b"999999999999999999999", b"1e308", b"-1e-308", b"nan", b"inf", b"", b" ", b".", b"0x10", b"1,5", b"-0",
)  # fmt: skip
_INTEGERS = (0, 1, -1, 2, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
_WORDS = (
    b"<", b">", b"</a>", b"<a>" * 50, b"<![CDATA[", b"]]>", b"&#0;", b"&amp;",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"<?xml version='1.0' encoding='UTF-16'?>", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0", b"\0\0\0\0",
    b"\xff\xff\xff\xff", b"\r\n", b"\n\n", b"\t", b";", b",", b'"', b"'", b"[" * 50, b"{" * 50,
    b"null", b"true",
    b"../../etc/passwd", b"/dev/zero", b"SQ\0\0\xff\xff\xff\xff", b"OW\0\0\xff\xff\xff\xff", b"PK\x03\x04",
    b"\x1f\x8b\x08", b"EDF+D", b"+0\x14\x14\0", b"\x93NUMPY", b"\x89HDF\r\n\x1a\n", b"PAR1",
    b"fLaC", b"\xc0\x80",
)  # fmt: skip


def mutant(name: str, number: int, files: Mapping[str, bytes], others: Mapping[str, bytes]) -> Files:
    """The mutant of that number; `others` are bytes to splice in from."""
    chance = random.Random(f"{name}/{number}")
    changed = dict(files)
    # Small files are headers; they decide most.
    weights = [2.0 if len(x) < _HEADER_BYTES else 1.0 for x in changed.values()]
    for _ in range(chance.choice((1, 1, 2, 3, 6))):
        target = chance.choices(list(changed), weights)[0]
        data = bytearray(changed[target])
        if not data:
            continue
        reach = min(len(data), _HEADER_BYTES) if chance.random() < 0.6 else len(data)
        edit = chance.choice(_EDITS)
        if edit is _splice:
            _splice_from(chance, data, chance.randrange(reach), others)
        else:
            edit(chance, data, chance.randrange(reach))
        changed[target] = bytes(data)
    if len(changed) > 1 and chance.random() < 0.02:
        del changed[chance.choice(list(changed))]
    return changed


def _flip(chance: random.Random, data: bytearray, at: int) -> None:
    data[at] ^= 1 << chance.randrange(8)


def _set(chance: random.Random, data: bytearray, at: int) -> None:
    data[at] = chance.choice((0, 1, 0x20, 0x30, 0x7F, 0x80, 0xC0, 0xFF, chance.randrange(256)))


def _cut(chance: random.Random, data: bytearray, at: int) -> None:
    del data[at:]


def _remove(chance: random.Random, data: bytearray, at: int) -> None:
    del data[at : at + chance.choice((1, 2, 3, 4, 8, 80, 512, len(data) // 3))]


def _repeat(chance: random.Random, data: bytearray, at: int) -> None:
    piece = data[at : at + chance.choice((1, 2, 4, 8, 80, 512))]
    data[at:at] = piece * chance.choice((1, 2, 16))


def _number(chance: random.Random, data: bytearray, at: int) -> None:
    found = re.compile(rb"[-+]?\d+(?:\.\d+)?").search(data, at) or re.compile(rb"\d+").search(data)
    if found:
        data[found.start() : found.end()] = chance.choice(_NUMBERS)


def _integer(chance: random.Random, data: bytearray, at: int) -> None:
    code, width = chance.choice(("bB", "hH", "iI", "qQ")), chance.choice("<>")
    value = chance.choice(_INTEGERS)
    size = struct.calcsize(code[0])
    data[at : at + size] = (value % (1 << (8 * size))).to_bytes(size, "little" if width == "<" else "big")


def _word(chance: random.Random, data: bytearray, at: int) -> None:
    word = chance.choice(_WORDS)
    data[at : at + (len(word) if chance.random() < 0.5 else 0)] = word


def _splice(chance: random.Random, data: bytearray, at: int) -> None:
    _splice_from(chance, data, at, {})


def _splice_from(chance: random.Random, data: bytearray, at: int, others: Mapping[str, bytes]) -> None:
    source = chance.choice([x for x in others.values() if x] or [bytes(data)])
    begin = chance.randrange(len(source))
    piece = source[begin : begin + chance.choice((4, 32, 256, 2048))]
    data[at : at + chance.choice((0, len(piece)))] = piece


_EDITS: tuple[Edit, ...] = (_flip, _set, _cut, _remove, _repeat, _number, _number, _integer, _word, _splice)
