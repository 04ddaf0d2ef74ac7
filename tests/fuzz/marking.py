"""Readable files with a marker in every field that can hold it: what de-identification is tested with.

Which fields are structure and which are free is found by trying: the marker goes into all places of a file at
once, and where the file is then refused or gives other samples, into halves of them, down to single places.
So no list of fields can be out of date.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import h5py
import lxml.etree
import numpy as np
import pydicom
import scipy.io

from exchangeai.errors import ExchangeaiError
from exchangeai.formats import ReadOptions, read_records
from exchangeai.leads import STANDARD_12
from tests.fuzz.mutants import Files

MARKER = "Zzyzxq48"
NEEDLES = tuple(x.encode(code) for x in ("zzyzxq", "ZZYZXQ", "Zzyzxq") for code in ("ascii", "utf-16-le"))
_STATED = ReadOptions(sampling_rate_hz=500, unit="mV", leads=STANDARD_12)
_MOST_TRIES = 300
Build = Callable[[frozenset[int]], bytes]


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A readable record that is full of markers."""

    files: Files
    options: ReadOptions
    places: int


def found_in(data: bytes) -> bool:
    """Whether the marker is in there, in the encodings that files use."""
    return any(x in data for x in NEEDLES)


def marked(files: Files, options: ReadOptions) -> Marked:
    """The record with markers wherever its reader does not mind, and in the names of its files."""
    total = 0
    for name in list(files):
        count, build = _places(files[name])
        accepted = _accepted(count, build, files, name, options)
        files = {**files, name: build(frozenset(accepted))}
        total += len(accepted)
    return Marked(files=_renamed(files, options), options=options, places=total)


def containers() -> list[Marked]:
    """Records in containers whose every name, attribute and text is a marker."""
    signal = np.cumsum(np.random.default_rng(1).normal(0, 0.01, (300, 12)), axis=0).astype(np.float32)
    hdf5 = io.BytesIO()
    with h5py.File(hdf5, "w") as file:
        file.attrs["patient_name"] = file.attrs["comment"] = MARKER
        file["tracings"] = signal[None].repeat(2, 0)
        file["tracings"].attrs["note"] = MARKER
        file["exam_id"] = np.array([f"{MARKER}1", f"{MARKER}2"], dtype=h5py.string_dtype())
    mat = io.BytesIO()
    scipy.io.savemat(mat, {"val": signal.T, "name": MARKER, "info": {"patient": MARKER, "note": MARKER}})
    npz = io.BytesIO()
    np.savez(npz, signal=signal, patient=np.array(MARKER), **cast(Any, {MARKER: np.array([MARKER])}))
    made = {"hdf5": hdf5, "mat": mat, "npz": npz}
    return [
        Marked(files={f"{MARKER}.{name}": x.getvalue()}, options=_STATED, places=4)
        for name, x in made.items()
    ]


def with_texts(kind: str, files: Files) -> Files:
    """The files with texts added where the format has room for more than the sample uses."""
    if kind == "dicom":
        return {name: _with_dicom_texts(data) for name, data in files.items()}
    comments = f"# {MARKER} 48 M\n# Dx: {MARKER}\n# Seen by {MARKER}\n".encode()
    return {name: data + comments if name.endswith(".hea") else data for name, data in files.items()}


def _with_dicom_texts(data: bytes) -> bytes:
    """A DICOM file with every kind of text element that a person may fill, private ones among them."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    for keyword in (
        "PatientName", "PatientID", "OtherPatientNames", "PatientComments", "PatientAddress", "StudyID",
        "InstitutionName", "InstitutionAddress", "StationName", "OperatorsName", "ReferringPhysicianName",
        "StudyDescription", "SeriesDescription", "AccessionNumber", "DeviceSerialNumber", "ProtocolName",
        "ManufacturerModelName", "Manufacturer", "AdditionalPatientHistory", "Occupation", "ImageComments",
        "PerformingPhysicianName", "RequestingPhysician", "InterpretationText", "MedicalAlerts",
    ):  # fmt: skip
        setattr(dataset, keyword, MARKER)
    block = dataset.private_block(0x0099, MARKER, create=True)
    for offset, kind in enumerate(("LO", "PN", "LT", "UT", "SH", "ST")):
        block.add_new(offset, kind, MARKER)
    annotation = pydicom.Dataset()
    annotation.UnformattedTextValue = MARKER
    annotation.ReferencedWaveformChannels = [1, 0]
    dataset.WaveformAnnotationSequence = pydicom.Sequence([annotation])
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def _accepted(count: int, build: Build, files: Files, name: str, options: ReadOptions) -> list[int]:
    samples = _samples(files, options)
    accepted: list[int] = []
    tries = 0
    waiting = [list(range(count))] if count else []
    while waiting:
        group = waiting.pop(0)
        tries += 1
        if tries > _MOST_TRIES:
            break
        try:
            taken = _samples({**files, name: build(frozenset([*accepted, *group]))}, options) == samples
        except ExchangeaiError:
            taken = False
        if taken:
            accepted += group
        elif len(group) > 1:
            middle = len(group) // 2
            waiting += [group[:middle], group[middle:]]
    return accepted


def _samples(files: Files, options: ReadOptions) -> list[bytes]:
    return [y.samples.tobytes() for x in read_records(files, options) for y in x.recording.leads]


def _places(data: bytes) -> tuple[int, Build]:
    """How many places a file has for the marker, and how to fill some of them."""
    if data.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \r\n")[:1] == b"<":
        return _in_xml(data)
    if data[:1] == b"{":
        return _in_json(data)
    if b"\0" not in data[:4096]:
        return _in_pieces(data, [m.span() for m in re.finditer(rb"[^\s,;]+", data[:2000])])
    # Fixed fields of binary headers, used or empty: cells of eight characters.
    runs = [m.span() for m in re.finditer(rb"[\x20-\x7e]{8,}", data[:100_000])]
    runs += [m.span() for m in re.finditer(rb"\0{16,}", data[:2048])]
    return _in_pieces(data, [(at, at + 8) for begin, end in runs for at in range(begin, end - 7, 8)])


def _in_pieces(data: bytes, spans: Sequence[tuple[int, int]]) -> tuple[int, Build]:
    spans = sorted(spans)

    def build(chosen: frozenset[int]) -> bytes:
        out, at = bytearray(), 0
        for i in sorted(chosen):
            begin, end = spans[i]
            out += data[at:begin] + MARKER.encode()
            at = end
        return bytes(out + data[at:])

    return len(spans), build


def _in_xml(data: bytes) -> tuple[int, Build]:
    root: Any = lxml.etree.fromstring(data)
    places: list[tuple[Any, str | None]] = []
    for element in root.iter():
        places += [(element, x) for x in element.attrib]
        if isinstance(element.tag, str) and (element.text or "").strip():
            places.append((element, None))
    before = [x.text if key is None else x.get(key) for x, key in places]

    def build(chosen: frozenset[int]) -> bytes:
        for i, (element, key) in enumerate(places):
            value = MARKER if i in chosen else before[i]
            if key is None:
                element.text = value
            else:
                element.set(key, value)
        return lxml.etree.tostring(root, xml_declaration=True, encoding="UTF-8")

    return len(places), build


def _in_json(data: bytes) -> tuple[int, Build]:
    places: list[tuple[Any, Any]] = []
    root = json.loads(data)

    def walk(node: Any) -> None:
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in list(cast(Any, items)):
            if isinstance(value, str):
                places.append((node, key))
            elif isinstance(value, dict | list):
                walk(value)

    walk(root)
    before = [node[key] for node, key in places]

    def build(chosen: frozenset[int]) -> bytes:
        for i, (node, key) in enumerate(places):
            node[key] = MARKER if i in chosen else before[i]
        return json.dumps(root).encode()

    return len(places), build


def _renamed(files: Files, options: ReadOptions) -> Files:
    """File names with the marker, where the files do not name each other."""
    if len(files) > 1:
        return files
    [(name, data)] = files.items()
    renamed = {f"{MARKER}_{name}": data}
    read_records(renamed, options)
    return renamed
