"""Other formats of training data, each written from the same windows and read as float32 millivolts.

Each maker takes (folder, int16 [N, 12, 5000], batch size) and returns a function that reads one epoch in
random order into one float32 batch and returns how many windows it delivered.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Windows = npt.NDArray[np.int16]
Epoch = Callable[[int], int]
SCALE_MV = np.float32(0.001)


class Filler:
    """Casts single windows into a batch that is used again and again."""

    def __init__(self, batch: int) -> None:
        self._out = np.empty((batch, 12, 5000), np.float32)
        self.count = 0

    def take(self, window: npt.NDArray[Any]) -> None:
        target = self._out[self.count % len(self._out)]
        np.copyto(target, window.reshape(12, 5000))
        np.multiply(target, SCALE_MV, out=target)
        self.count += 1


def _singly(rows: int, batch: int, read: Callable[[int], npt.NDArray[Any]]) -> Epoch:
    def run(epoch: int) -> int:
        filler = Filler(batch)
        for row in np.random.default_rng(epoch).permutation(rows).tolist():
            filler.take(read(row))
        return filler.count

    return run


def _all_of(batch: int, iterate: Callable[[int], Any]) -> Epoch:
    def run(epoch: int) -> int:
        filler = Filler(batch)
        for window in iterate(epoch):
            filler.take(window)
        return filler.count

    return run


def npy(folder: Path, values: Windows, batch: int) -> Epoch:
    np.save(folder / "x.npy", values)
    stored = np.load(folder / "x.npy", mmap_mode="r").view(np.ndarray)
    return _singly(len(values), batch, lambda row: stored[row])


def npy_fancy(folder: Path, values: Windows, batch: int) -> Epoch:
    np.save(folder / "x.npy", values)
    stored = np.load(folder / "x.npy", mmap_mode="r")

    def run(epoch: int) -> int:
        order = np.random.default_rng(epoch).permutation(len(values))
        for begin in range(0, len(order), batch):
            stored[order[begin : begin + batch]].astype(np.float32) * SCALE_MV
        return len(order)

    return run


def hdf5(folder: Path, values: Windows, batch: int) -> Epoch:
    h5py: Any = importlib.import_module("h5py")
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("x", data=values)
    stored = h5py.File(folder / "x.h5", "r")["x"]
    return _singly(len(values), batch, lambda row: stored[row])


def hdf5_chunked(folder: Path, values: Windows, batch: int) -> Epoch:
    h5py: Any = importlib.import_module("h5py")
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("x", data=values, chunks=(1, 12, 5000), compression="lzf")
    stored = h5py.File(folder / "x.h5", "r")["x"]
    return _singly(len(values), batch, lambda row: stored[row])


def parquet(folder: Path, values: Windows, batch: int) -> Epoch:
    """A binary column; row groups of 64 are shuffled, not single records: easier work."""
    pa: Any = importlib.import_module("pyarrow")
    pq: Any = importlib.import_module("pyarrow.parquet")
    table = pa.table({"x": pa.array([x.tobytes() for x in values], pa.binary())})
    pq.write_table(table, folder / "x.parquet", row_group_size=64, compression="none", use_dictionary=False)
    stored = pq.ParquetFile(folder / "x.parquet", memory_map=True)

    def iterate(epoch: int) -> Any:
        for group in np.random.default_rng(epoch).permutation(stored.num_row_groups).tolist():
            for cell in stored.read_row_group(group)["x"]:
                yield np.frombuffer(cell.as_buffer(), np.int16)

    return _all_of(batch, iterate)


def zarr(folder: Path, values: Windows, batch: int) -> Epoch:
    z: Any = importlib.import_module("zarr")
    stored = z.create_array(
        store=str(folder / "x.zarr"),
        shape=values.shape,
        chunks=(1, 12, 5000),
        dtype="int16",
        compressors=None,
    )
    stored[:] = values
    return _singly(len(values), batch, lambda row: stored[row])


def zarr_blocks(folder: Path, values: Windows, batch: int) -> Epoch:
    """Chunks of 64 with its default zstd; chunks are shuffled, not single records: easier work."""
    z: Any = importlib.import_module("zarr")
    stored = z.create_array(
        store=str(folder / "x.zarr"), shape=values.shape, chunks=(64, 12, 5000), dtype="int16"
    )
    stored[:] = values

    def iterate(epoch: int) -> Any:
        for chunk in np.random.default_rng(epoch).permutation(-(-len(values) // 64)).tolist():
            yield from stored[64 * chunk : 64 * chunk + 64]

    return _all_of(batch, iterate)


def webdataset(folder: Path, values: Windows, batch: int) -> Epoch:
    wds: Any = importlib.import_module("webdataset")
    with wds.TarWriter(str(folder / "x-000000.tar")) as sink:
        for i, window in enumerate(values):
            sink.write({"__key__": f"{i:08d}", "bin": window.tobytes()})

    def iterate(_epoch: int) -> Any:
        stored = wds.WebDataset(str(folder / "x-000000.tar"), shardshuffle=False).shuffle(512)
        for sample in stored:
            yield np.frombuffer(sample["bin"], np.int16)

    return _all_of(batch, iterate)


def mosaicml(folder: Path, values: Windows, batch: int) -> Epoch:
    streaming: Any = importlib.import_module("streaming")
    with streaming.MDSWriter(out=str(folder), columns={"x": "bytes"}, compression=None) as sink:
        for window in values:
            sink.write({"x": window.tobytes()})
    stored = streaming.LocalDataset(local=str(folder))
    return _singly(len(values), batch, lambda row: np.frombuffer(stored[row]["x"], np.int16))


def litdata(folder: Path, values: Windows, batch: int) -> Epoch:
    cache: Any = importlib.import_module("litdata.streaming").Cache
    ld: Any = importlib.import_module("litdata")
    sink = cache(str(folder), chunk_bytes="64MB")
    for i, window in enumerate(values):
        sink[i] = {"x": window.tobytes()}
    sink.done()
    sink.merge()

    def iterate(_epoch: int) -> Any:
        for sample in ld.StreamingDataset(str(folder), shuffle=True, drop_last=False):
            yield np.frombuffer(sample["x"], np.int16)

    return _all_of(batch, iterate)


PEERS: dict[str, Callable[[Path, Windows, int], Epoch]] = {
    "npy memory map, by row": npy,
    "npy memory map, fancy index": npy_fancy,
    "HDF5 contiguous": hdf5,
    "HDF5 chunk 1 lzf": hdf5_chunked,
    "Parquet binary, groups of 64": parquet,
    "zarr 3 chunk 1": zarr,
    "zarr 3 chunk 64 zstd": zarr_blocks,
    "WebDataset tar, shuffle 512": webdataset,
    "MosaicML MDS": mosaicml,
    "litdata shuffled": litdata,
}
