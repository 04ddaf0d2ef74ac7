"""Philips XML that is damaged, foreign or hostile."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import numpy.typing as npt
import pytest

from exchangeai.errors import (
    EmptyFile,
    ExchangeaiError,
    InvalidHeader,
    MissingFile,
)
from exchangeai.formats import philips, read_records
from exchangeai.formats._philips_xli import unpacked
from exchangeai.leads import STANDARD_12
from tests.unit.formats import device_xml
from tests.unit.formats.device_xml import parsed, plain, xli
from tests.unit.formats.test_philips import GOLDEN, STRICT, counts, read

__all__ = ["counts"]  # a fixture


@pytest.mark.parametrize(
    ("waveforms", "error"),
    [
        ("", EmptyFile),
        ('<unparsedwaveforms href="file:///etc/passwd"/>', MissingFile),
        (parsed("AAAA", seconds=1, compression="Huffman"), InvalidHeader),
        (parsed("00ff", seconds=1, compression="", dataencoding="Hex"), InvalidHeader),
        (parsed("AAAA", seconds=1, compression="", bitspersample="12"), InvalidHeader),
        (parsed("AAAA", seconds=1, compression="", resolution="0"), InvalidHeader),
        (parsed("AAAA", seconds=1, labels="I I", compression=""), InvalidHeader),
        (parsed("AAAAAAAAAAA=", seconds=1), ExchangeaiError),
        (parsed("AAAA", seconds=1, samplespersecond="1e12"), InvalidHeader),
    ],
)
def test_what_cannot_be_read_is_refused(waveforms: str, error: type[ExchangeaiError]) -> None:
    with pytest.raises(error) as caught:
        read(device_xml.philips(waveforms))
    assert "passwd" not in str(caught.value)


def test_limb_leads_without_those_they_differ_from_are_refused(
    counts: dict[str, npt.NDArray[np.int16]],
) -> None:
    text = xli({x: counts[x] for x in STANDARD_12})
    with pytest.raises(InvalidHeader, match="differences"):
        read(device_xml.philips(parsed(text, seconds=10, labels="V1 V2 III V3 V4 V5 V6 aVR aVL aVF a b")))


def test_a_version_that_is_not_known(counts: dict[str, npt.NDArray[np.int16]]) -> None:
    data = device_xml.philips(parsed(plain(counts), seconds=10, compression=""), version="2.0")
    assert any("version" in x for x in read(data).recording.warnings)
    with pytest.raises(InvalidHeader, match="version"):
        read(data, STRICT)


def test_small_data_that_unpack_to_gigabytes_are_refused() -> None:
    # One long entry of the table, again and again: 10 bits for 700 bytes.
    growing = list(range(256, 1022))
    codes = [0, *growing, *[1021] * 120_000]
    bits = "".join(f"{x:010b}" for x in codes)
    bits += "0" * (-len(bits) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
    with pytest.raises(InvalidHeader, match="16 MiB"):
        unpacked(len(packed).to_bytes(4, "little") + bytes(4) + packed, None)


def test_every_cut_and_many_flips_fail_with_our_errors() -> None:
    original = (GOLDEN / "129DYPRG.XML").read_bytes()
    rng = np.random.default_rng(1)
    for end in rng.integers(0, len(original), 40):
        with pytest.raises(ExchangeaiError):
            read_records({"a.xml": original[:end]})
    for _ in range(60):
        flipped = bytearray(original)
        for at in rng.integers(0, len(original), 5):
            flipped[at] ^= 1 << int(rng.integers(8))
        with contextlib.suppress(ExchangeaiError):
            read_records({"a.xml": bytes(flipped)})


def test_archives_are_no_philips_files() -> None:
    assert not philips.sniff({"a": (GOLDEN.parent / "archives" / "B9A3EKRG-129EFIRG.TGZ").read_bytes()})
    assert not philips.sniff({"a": b""})
    assert not philips.sniff({"a": b"<a/>", "b": b"<restingecgdata/>"})
    assert philips.sniff({"a": io.BytesIO(b"<?xml version='1.0'?><restingecgdata/>").read()})
