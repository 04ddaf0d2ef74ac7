"""Flipped, cut and repeated bytes: a reader fails with our errors or reads on, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exchangeai.errors import ExchangeaiError
from exchangeai.formats import ReadOptions, read_records
from exchangeai.leads import STANDARD_12

GOLDEN = Path(__file__).parents[2] / "golden" / "formats"
OPTIONS = ReadOptions(sampling_rate_hz=500, unit="mV", leads=STANDARD_12)


def _edf() -> dict[str, bytes]:
    # The time stamps too, of a file with a gap, but few records: the header is what matters.
    return {"a.edf": (GOLDEN / "edf/E07500_discontinuous.edf").read_bytes()}


def _wfdb() -> dict[str, bytes]:
    header = (GOLDEN / "wfdb/E03823.hea").read_bytes().replace(b" 500 5000", b" 500 200")
    return {"a.hea": header.replace(b"E03823.mat", b"a.mat"), "a.mat": bytes(24 + 2 * 12 * 200)}


SMALL = {
    "wfdb": _wfdb(),
    "edf": _edf(),
    "dicom": {"a.dcm": (GOLDEN / "dicom/ecgtoolkit_example.dcm").read_bytes()},
    "csv": {"a.csv": b"\n".join((GOLDEN / "csv/E07500_header_units.csv").read_bytes().split(b"\n")[:40])},
    "npy": {"a.npy": (GOLDEN / "npy/E07500_be_fortran_int16.npy").read_bytes()[:20_000]},
}

edits = st.lists(
    st.tuples(
        st.sampled_from(["flip", "digit", "cut", "insert"]),
        st.floats(0, 1),
        st.integers(0, 255),
    ),
    min_size=1,
    max_size=6,
)


def _mutate(data: bytes, changes: list[tuple[str, float, int]], window: int) -> bytes:
    out = bytearray(data)
    for kind, place, value in changes:
        if not out:
            break
        # Most edits into the header, where the decisions are.
        at = int(place * (min(window, len(out)) - 1))
        if kind == "flip":
            out[at] ^= value or 1
        elif kind == "digit":
            out[at : at + 1] = b"0123456789-.eE"[value % 14 :][:1]
        elif kind == "insert":
            out[at:at] = bytes([value]) * (value % 9)
        else:
            del out[int(place * len(out)) :]
    return bytes(out)


@pytest.mark.parametrize("name", sorted(SMALL))
@settings(max_examples=200, deadline=2000, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(changes=edits)
def test_only_our_errors_escape(name: str, changes: list[tuple[str, float, int]]) -> None:
    files = dict(SMALL[name])
    first = next(iter(files))
    files[first] = _mutate(files[first], changes, 4096)
    with suppress(ExchangeaiError):
        result = read_records(files, OPTIONS)[0]
        assert sum(x.samples.size for x in result.recording.leads) < 50_000_000
