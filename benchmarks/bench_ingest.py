"""Reading ECG files: ours against each peer that reads the same file, in one run, and the sandbox's cost.

Each reader is given the file on disk and asked for millivolts; the figure is the median wall time of a call
after warming up, with the files in the page cache. It is said of a peer that is not installed, refuses the
file or gives other numbers. `make bench-ingest` installs the peers apart from the product. Prints JSON.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.about import about
from exchangeai.formats import ReadOptions, members_of, read_records
from exchangeai.formats.sandboxed import SandboxedReader
from exchangeai.leads import canonical_lead
from exchangeai.reading import load, read_ecg

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "formats"
BUDGET_S = 1.5
"""So long each reader is repeated on each file."""
BULK = 400
"""Records read for the cost of the sandbox."""
FILES: dict[str, tuple[str, tuple[str, ...]]] = {
    "wfdb 16, 12 x 5000": ("wfdb/00004_hr.hea", ("wfdb", "ecgdatakit")),
    "wfdb 212, 2 x 650000": ("wfdb/100.hea", ("wfdb", "ecgdatakit")),
    "wfdb 16+24, 12 x 5000 (.mat)": ("wfdb/E07500.hea", ("wfdb", "ecgdatakit")),
    "edf, 12 x 5000": ("edf/E07500_12lead_edfplus.edf", ("edfio", "pyedflib", "ecgdatakit")),
    "bdf, 12 x 5000": ("edf/E07500_12lead_bdfplus.bdf", ("edfio", "pyedflib")),
    "dicom, 12 x 10000": ("dicom/waveform_ecg.dcm", ("pydicom", "ecgdatakit")),
    "scp Huffman, 12 x 5000": ("scp/Example.scp", ("ecgdatakit",)),
    "aecg, 12 x 5000": ("aecg/hl7_example.xml", ("ecgdatakit",)),
    "philips XLI, 12 x 5500": ("philips/129DYPRG.XML", ("sierraecg", "ecgdatakit")),
    "ishne, 2 x 21600": ("ishne/mitbih100_1min.ecg", ("ecgdatakit",)),
}
Numbers = dict[str, Any]
"""Samples in mV by canonical lead name."""


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")  # a peer warns at each call
    extra = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}
    rows = {name: _compared(GOLDEN / path, peers) for name, (path, peers) in {**FILES, **extra}.items()}
    result = {
        "benchmark": "ingest",
        **about(),
        "command": "make bench-ingest",
        "milliseconds": rows,
        "sandbox": asyncio.run(_sandbox_cost()),
    }
    print(json.dumps(result, indent=2))


def _compared(path: Path, peers: tuple[str, ...]) -> dict[str, Any]:
    if not path.is_file():
        return {"missing": "put the file into tests/golden/formats"}
    ours = _numbers(path)
    members = _members(path)
    row: dict[str, Any] = {
        "ours": _median_ms(lambda: read_records({x.name: x.read_bytes() for x in members}))
    }
    for name in peers:
        try:
            reader = PEERS[name]()
            same = _same(reader(path), ours)
        except ImportError:
            row[name] = "not installed"
            continue
        except Exception as e:  # whatever a peer raises is its result
            row[name] = f"refuses ({type(e).__name__})"
            continue
        ms = _median_ms(lambda reader=reader: reader(path))
        row[name] = {"ms": ms, "ours_is_faster_by": round(ms / row["ours"], 2), "same_numbers": same}
    return row


def _members(path: Path) -> list[Path]:
    """The files that a peer opens too: no annotations beside a record."""
    if path.suffix != ".hea":
        return [path]
    return [path, *(path.with_name(x) for x in members_of(path.read_bytes()) or ())]


def _median_ms(call: Callable[[], Any]) -> float:
    for _ in range(3):
        call()
    times: list[float] = []
    end = time.perf_counter() + BUDGET_S
    while time.perf_counter() < end or len(times) < 5:
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    return round(statistics.median(times) * 1e3, 3)


def _numbers(path: Path) -> Numbers:
    leads = read_ecg(path)[0].leads
    return {x.name: x.samples for x in leads if x.unit == "mV" and not x.derived}


def _same(theirs: Numbers, ours: Numbers) -> bool:
    common = set(theirs) & set(ours)
    return bool(common) and all(
        theirs[x].size >= ours[x].size
        and np.allclose(theirs[x][: ours[x].size], ours[x], atol=1e-5, equal_nan=True)
        for x in common
    )


async def _sandbox_cost() -> dict[str, Any]:
    files = load(GOLDEN / "wfdb/00004_hr.hea")
    begin = time.perf_counter()
    for _ in range(BULK):
        read_records(files)
    bare_s = time.perf_counter() - begin
    reader = SandboxedReader(workers=1)
    await reader.start()
    await reader.read(files, ReadOptions())
    begin = time.perf_counter()
    for _ in range(BULK):
        await reader.read(files, ReadOptions())
    single_s = time.perf_counter() - begin
    await reader.close()
    return {
        "records": BULK,
        "in_process_per_s": round(BULK / bare_s, 1),
        "sandboxed_one_by_one_per_s": round(BULK / single_s, 1),
        "cost_one_by_one": round(single_s / bare_s - 1, 3),
    }


def _wfdb() -> Callable[[Path], Numbers]:
    wfdb: Any = importlib.import_module("wfdb")

    def read(path: Path) -> Numbers:
        record = wfdb.rdrecord(str(path.with_suffix("")), smooth_frames=False)
        return {
            canonical_lead(n): np.asarray(x) for n, x in zip(record.sig_name, record.e_p_signal, strict=True)
        }

    return read


def _edfio() -> Callable[[Path], Numbers]:
    edfio: Any = importlib.import_module("edfio")

    def read(path: Path) -> Numbers:
        file = (edfio.read_bdf if path.suffix == ".bdf" else edfio.read_edf)(path)
        scale = {"uV": 1e-3, "mV": 1.0}
        return {canonical_lead(s.label): s.data * scale.get(s.physical_dimension, 1.0) for s in file.signals}

    return read


def _pyedflib() -> Callable[[Path], Numbers]:
    pyedflib: Any = importlib.import_module("pyedflib")

    def read(path: Path) -> Numbers:
        with pyedflib.EdfReader(str(path)) as file:
            labels, scale = file.getSignalLabels(), {"uV": 1e-3, "mV": 1.0}
            return {
                canonical_lead(x): file.readSignal(i) * scale.get(file.getPhysicalDimension(i), 1.0)
                for i, x in enumerate(labels)
            }

    return read


def _pydicom() -> Callable[[Path], Numbers]:
    pydicom: Any = importlib.import_module("pydicom")

    def read(path: Path) -> Numbers:
        dataset = pydicom.dcmread(path)
        values = dataset.waveform_array(0)
        channels = dataset.WaveformSequence[0].ChannelDefinitionSequence
        scale = {"uV": 1e-3, "mV": 1.0}
        out: Numbers = {}
        for i, channel in enumerate(channels):
            unit = channel.ChannelSensitivityUnitsSequence[0].CodeValue
            out[canonical_lead(channel.ChannelSourceSequence[0].CodeMeaning)] = values[:, i] * scale[unit]
        return out

    return read


def _ecgdatakit() -> Callable[[Path], Numbers]:
    parser: Any = importlib.import_module("ecgdatakit").FileParser()

    def read(path: Path) -> Numbers:
        return {canonical_lead(x.label): np.asarray(x.samples) for x in parser.parse(str(path)).leads}

    return read


def _sierraecg() -> Callable[[Path], Numbers]:
    sierraecg: Any = importlib.import_module("sierraecg")

    def read(path: Path) -> Numbers:
        # It gives the stored integers, of 5 microvolts each.
        return {
            canonical_lead(x.label): np.asarray(x.samples) * 0.005
            for x in sierraecg.read_file(str(path)).leads
        }

    return read


PEERS: dict[str, Callable[[], Callable[[Path], Numbers]]] = {
    "wfdb": _wfdb,
    "edfio": _edfio,
    "pyedflib": _pyedflib,
    "pydicom": _pydicom,
    "ecgdatakit": _ecgdatakit,
    "sierraecg": _sierraecg,
}


if __name__ == "__main__":
    main()
