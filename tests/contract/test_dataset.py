"""The preprocess → trainer contract: shards that plain pyarrow reads, equal bytes, verified downloads."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exchangeai.dataset import (
    MAX_SHARD_ROWS,
    DatasetManifest,
    PartManifest,
    Row,
    ShardWriter,
    decode_manifest,
    download,
    encode_croissant,
    encode_manifest,
    epoch_groups,
    epoch_order,
    manifest_key,
    open_part,
    read_epoch,
    schema,
    shard_key,
    write_shard,
)
from exchangeai.dataset.parquet import export_parquet
from exchangeai.dataset.parquet import main as parquet_main
from exchangeai.errors import ContractViolation, NotFound
from exchangeai.facts import Task


def rows(count: int, seed: int = 0) -> list[Row]:
    random = np.random.default_rng(seed)
    return [
        Row(
            recording_id=f"{i:064x}",
            patient_key=f"{i // 2:064x}",
            window=random.integers(-3000, 3000, (12, 5000)).astype(np.int16),
            uv_per_lsb=1.0 + i % 2,
            valid_samples=5000 - i,
            label=np.array([i % 2, 1, 0], np.uint8),
            sex="F",
            age_years=None if i % 3 else i,
            device_model="Cart 1" if i % 4 else None,
        )
        for i in range(count)
    ]


class FolderStore:
    """The part of the store that `download` uses, over a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fetched: list[str] = []

    def get(self, key: str) -> bytes:
        try:
            return (self.folder / key.replace("/", "_")).read_bytes()
        except FileNotFoundError as e:
            raise NotFound("no such object") from e

    def get_file(self, key: str, path: Path) -> None:
        self.fetched.append(key)
        shutil.copy(self.folder / key.replace("/", "_"), path)


@pytest.fixture
def stored(tmp_path: Path) -> tuple[FolderStore, DatasetManifest]:
    """Two shards of `train` and one of `test`, stored."""
    store = FolderStore(tmp_path / "store")
    store.folder.mkdir()

    def shard(part: str, index: int, content: list[Row]) -> Any:
        key = shard_key("d", part, index)
        return write_shard(store.folder / key.replace("/", "_"), content, 3, key)

    manifest = DatasetManifest(
        dataset_id="d",
        name="test",
        task=Task.MULTI_LABEL,
        classes=("A", "B", "C"),
        parts={
            "train": PartManifest(
                shards=(shard("train", 0, rows(70)), shard("train", 1, rows(9, seed=1))),
                recordings=79,
                patients=40,
                positives=(39, 79, 0),
            ),
            "validation": PartManifest(),
            "test": PartManifest(shards=(shard("test", 0, rows(2)),), recordings=2, patients=1),
        },
        preprocessing_version="1",
        code_version="0",
        seed=7,
    )
    (store.folder / manifest_key("d").replace("/", "_")).write_bytes(encode_manifest(manifest))
    return store, manifest


def test_a_part_reads_back_over_all_shards(
    stored: tuple[FolderStore, DatasetManifest], tmp_path: Path
) -> None:
    store, manifest = stored
    assert download(store, "d", tmp_path / "here") == manifest
    part = open_part(tmp_path / "here", manifest, "train")
    content = [*rows(70), *rows(9, seed=1)]
    windows = np.stack([x.window for x in content])
    assert part.values.shape == (79, 12, 5000)
    np.testing.assert_array_equal(np.asarray(part.values), windows)
    np.testing.assert_array_equal(part.values[[75, 3, 64]], windows[[75, 3, 64]])
    np.testing.assert_array_equal(part.values[-1], windows[-1])
    np.testing.assert_array_equal(part.labels, [x.label for x in content])
    assert part.recording_ids == [x.recording_id for x in content]
    assert part.patient_keys == [x.patient_key for x in content]
    assert part.age_years == [x.age_years for x in content]
    assert part.device_model == [x.device_model for x in content]
    millivolts = part.millivolts(np.array([1, 72]))
    assert millivolts.dtype == np.float32
    np.testing.assert_allclose(millivolts, windows[[1, 72]] * [[[0.002]], [[0.001]]], rtol=1e-6)
    np.testing.assert_array_equal(part.steps([1, 72]), windows[[1, 72]])
    np.testing.assert_array_equal(part.steps([1, 72]) * part.mv_per_step([1, 72]), millivolts)
    with pytest.raises(IndexError):
        part.values[79]


def test_single_windows_are_views_of_the_memory_map(
    stored: tuple[FolderStore, DatasetManifest], tmp_path: Path
) -> None:
    store, manifest = stored
    download(store, "d", tmp_path / "here")
    window = open_part(tmp_path / "here", manifest, "train").values[5]
    assert not window.flags.owndata
    assert not window.flags.writeable


def test_an_empty_part_opens(stored: tuple[FolderStore, DatasetManifest], tmp_path: Path) -> None:
    part = open_part(tmp_path, stored[1], "validation")
    assert (len(part), part.values.shape, part.labels.shape) == (0, (0, 12, 5000), (0, 3))


def test_plain_pyarrow_reads_a_shard(stored: tuple[FolderStore, DatasetManifest]) -> None:
    path = stored[0].folder / shard_key("d", "train", 0).replace("/", "_")
    table: Any = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
    assert table.num_rows == 70
    assert str(table.schema.field("window").type) == "fixed_size_list<item: int16 not null>[60000]"
    assert str(table.schema.field("label").type) == "fixed_size_list<item: uint8 not null>[3]"
    window = np.array(table["window"][69].as_py(), np.int16).reshape(12, 5000)
    np.testing.assert_array_equal(window, rows(70)[69].window)
    assert table["age_years"][1].as_py() is None


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    digests = {write_shard(tmp_path / name, rows(66), 3, "k").sha256 for name in ("a", "b")}
    assert len(digests) == 1
    assert digests == {hashlib.sha256((tmp_path / "a").read_bytes()).hexdigest()}


def test_download_keeps_what_is_whole_and_repairs_what_is_not(
    stored: tuple[FolderStore, DatasetManifest], tmp_path: Path
) -> None:
    store, manifest = stored
    here = tmp_path / "here"
    download(store, "d", here)
    damaged = here / "train-00001.arrow"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    store.fetched.clear()
    download(store, "d", here)
    assert store.fetched == [shard_key("d", "train", 1)]
    assert len(open_part(here, manifest, "train")) == 79


def test_a_shard_that_differs_from_the_manifest_is_refused(
    stored: tuple[FolderStore, DatasetManifest], tmp_path: Path
) -> None:
    store, _ = stored
    write_shard(store.folder / shard_key("d", "test", 0).replace("/", "_"), rows(2, seed=9), 3, "k")
    with pytest.raises(ContractViolation, match="test-00000"):
        download(store, "d", tmp_path / "here")


def test_an_unfinished_data_set_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        download(FolderStore(tmp_path), "d", tmp_path / "here")


def test_other_classes_than_the_manifest_are_refused(
    stored: tuple[FolderStore, DatasetManifest], tmp_path: Path
) -> None:
    store, manifest = stored
    download(store, "d", tmp_path / "here")
    with pytest.raises(ContractViolation, match="columns or rows"):
        open_part(tmp_path / "here", replace(manifest, classes=("A", "B")), "train")
    with pytest.raises(ContractViolation, match="'fold'"):
        open_part(tmp_path / "here", manifest, "fold")


@pytest.mark.parametrize("key", ["datasets/d/../../etc/passwd", "datasets/d/test-00000.arrow", "x"])
def test_a_manifest_cannot_name_other_files(stored: tuple[FolderStore, DatasetManifest], key: str) -> None:
    _, manifest = stored
    train = manifest.parts["train"]
    forged = replace(train, shards=(replace(train.shards[0], key=key),))
    with pytest.raises(ContractViolation, match="names a shard"):
        decode_manifest(encode_manifest(replace(manifest, parts={**manifest.parts, "train": forged})))


@pytest.mark.parametrize("data", [b"", b"{}", b"[1]"])
def test_a_malformed_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(ContractViolation):
        decode_manifest(data)


def test_wrong_shapes_and_full_shards_are_refused(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "a", 3) as writer:
        good = rows(1)[0]
        with pytest.raises(ContractViolation):
            writer.add(replace(good, window=good.window.astype(np.float32)))
        with pytest.raises(ContractViolation):
            writer.add(replace(good, label=np.zeros(2, np.uint8)))
        writer.rows = MAX_SHARD_ROWS
        with pytest.raises(ValueError, match="full"):
            writer.add(good)


def test_millivolts_fill_the_memory_that_is_given(
    stored: tuple[FolderStore, DatasetManifest], tmp_path: Path
) -> None:
    store, manifest = stored
    download(store, "d", tmp_path / "here")
    part = open_part(tmp_path / "here", manifest, "train")
    out = np.full((4, 12, 5000), np.nan, np.float32)
    filled = part.millivolts([78, 0, 70], out)
    assert np.shares_memory(filled, out)
    assert filled.shape == (3, 12, 5000)
    np.testing.assert_array_equal(filled, part.millivolts([78, 0, 70]))
    scale = (part.uv_per_lsb[[78, 0, 70]] / np.float32(1000))[:, None, None]
    np.testing.assert_array_equal(filled, part.values[[78, 0, 70]].astype(np.float32) * scale)
    with pytest.raises(ValueError, match="float64"):
        part.millivolts([0], np.empty((1, 12, 5000)))  # type: ignore[arg-type]
    with pytest.raises(IndexError):
        part.millivolts([79])


def test_shards_say_where_in_their_files_windows_are(
    stored: tuple[FolderStore, DatasetManifest], tmp_path: Path
) -> None:
    store, manifest = stored
    download(store, "d", tmp_path / "here")
    part = open_part(tmp_path / "here", manifest, "train")
    assert [(x.first, x.rows) for x in part.files] == [(0, 70), (70, 9)]
    for file in part.files:
        content = file.path.read_bytes()
        for row, offset in enumerate(file.offsets.tolist()):
            window = np.frombuffer(content, "<i2", 60000, offset).reshape(12, 5000)
            np.testing.assert_array_equal(window, part.values[file.first + row])
    part.will_need(slice(None))
    part.will_need([])


@pytest.mark.parametrize("batch_size", [15, 16, 17, 100])
@pytest.mark.parametrize("shards_at_once", [1, 8])
def test_an_epoch_has_every_window_once(
    stored: tuple[FolderStore, DatasetManifest], tmp_path: Path, batch_size: int, shards_at_once: int
) -> None:
    store, manifest = stored
    download(store, "d", tmp_path / "here")
    part = open_part(tmp_path / "here", manifest, "train")
    seen: list[int] = []
    threads = 1 + batch_size % 3
    for batch in read_epoch(
        part, batch_size, seed=3, epoch=1, shards_at_once=shards_at_once, threads=threads
    ):
        np.testing.assert_array_equal(batch.millivolts, part.millivolts(batch.rows))
        seen.extend(batch.rows.tolist())
    assert seen == epoch_order([70, 9], 3, 1, shards_at_once).tolist()
    assert sorted(seen) == list(range(79))


def test_an_epoch_may_be_left_early_and_may_be_empty(
    stored: tuple[FolderStore, DatasetManifest], tmp_path: Path
) -> None:
    store, manifest = stored
    download(store, "d", tmp_path / "here")
    next(read_epoch(open_part(tmp_path / "here", manifest, "train"), 8, seed=0, epoch=1, shards_at_once=1))
    assert list(read_epoch(open_part(tmp_path / "here", manifest, "validation"), 8, seed=0, epoch=1)) == []


def test_orders_follow_seed_and_epoch_and_stay_within_groups() -> None:
    sizes = [100] * 20
    orders = [epoch_order(sizes, *x) for x in ((1, 1), (1, 1), (1, 2), (2, 1))]
    assert orders[0].tolist() == orders[1].tolist()
    assert len({tuple(x.tolist()) for x in orders}) == 3
    for group in epoch_groups(sizes, 1, 1, 8):
        assert len({x // 100 for x in group.tolist()}) == len(group) // 100 <= 8
    small = np.random.default_rng((1, 1)).permutation(800)
    assert epoch_order([100] * 8, 1, 1).tolist() == small.tolist()


@pytest.fixture
def numbers(tmp_path: Path) -> DatasetManifest:
    """A shard of numeric targets in `tmp_path`."""
    content = [replace(x, label=np.array([i / 4, np.nan], np.float32)) for i, x in enumerate(rows(5, seed=4))]
    shard = write_shard(
        tmp_path / "train-00000.arrow", content, 2, shard_key("r", "train", 0), Task.REGRESSION
    )
    return DatasetManifest(
        dataset_id="r",
        name="numbers",
        task=Task.REGRESSION,
        classes=("ef", "k"),
        parts={
            "train": PartManifest(shards=(shard,), recordings=5, patients=3, positives=(5, 0)),
            "validation": PartManifest(),
            "test": PartManifest(),
        },
        preprocessing_version="1",
        code_version="0",
        seed=7,
    )


def test_numeric_targets_are_float32(numbers: DatasetManifest, tmp_path: Path) -> None:
    part = open_part(tmp_path, numbers, "train")
    assert part.labels.dtype == np.float32
    assert part.labels[:, 0].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert np.isnan(part.labels[:, 1]).all()
    with (
        ShardWriter(tmp_path / "a", 2, Task.REGRESSION) as writer,
        pytest.raises(ContractViolation, match="uint8"),
    ):
        writer.add(replace(rows(1)[0], label=np.zeros(2, np.uint8)))


def test_parquet_for_exchange_holds_the_same(
    stored: tuple[FolderStore, DatasetManifest], tmp_path: Path
) -> None:
    store, manifest = stored
    download(store, "d", tmp_path / "here")
    paths = export_parquet(tmp_path / "here", manifest, tmp_path / "out")
    assert [x.name for x in paths] == ["train.parquet", "test.parquet"]
    table: Any = pq.read_table(paths[0])
    part = open_part(tmp_path / "here", manifest, "train")
    assert table["recording_id"].to_pylist() == part.recording_ids
    assert table["label"].to_pylist() == part.labels.tolist()
    windows = [np.frombuffer(x, "<i2").reshape(12, 5000) for x in table["window"].to_pylist()]
    np.testing.assert_array_equal(np.stack(windows), part.values[:])
    assert table.schema.metadata[b"dataset_id"] == b"d"
    assert b"uv_per_lsb / 1000" in table.schema.metadata[b"exchangeai"]


def test_parquet_from_the_command_line(
    stored: tuple[FolderStore, DatasetManifest], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, manifest = stored
    here, out = tmp_path / "here", str(tmp_path / "out")
    download(store, "d", here)
    assert parquet_main([str(here), out]) == 1
    assert "manifest.json" in capsys.readouterr().err
    (here / "manifest.json").write_bytes(encode_manifest(manifest))
    assert parquet_main([str(here), out]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("train.parquet")


def test_croissant_names_every_file_and_column(
    stored: tuple[FolderStore, DatasetManifest], numbers: DatasetManifest
) -> None:
    _, manifest = stored
    encoded = encode_croissant(manifest)
    assert encoded == encode_croissant(manifest)
    told = json.loads(encoded)
    assert told["@type"] == "sc:Dataset"
    assert told["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert told["@context"]["cr"] == "http://mlcommons.org/croissant/"
    files = {x["@id"]: x for x in told["distribution"] if x["@type"] == "cr:FileObject"}
    shards = [shard for part in manifest.parts.values() for shard in part.shards]
    assert {k: x["sha256"] for k, x in files.items()} == {x.key.rpartition("/")[2]: x.sha256 for x in shards}
    sets = {x["@id"] for x in told["distribution"] if x["@type"] == "cr:FileSet"}
    for record_set in told["recordSet"][1:]:
        columns = [x["source"]["extract"]["column"] for x in record_set["field"]]
        assert columns == schema(3).names
        for field in record_set["field"]:
            assert field["@id"] == f"{record_set['@id']}/{field['name']}"
            assert field["source"]["fileSet"]["@id"] in sets
    label = json.loads(encode_croissant(numbers))["recordSet"][1]["field"][5]
    assert (label["name"], label["dataType"]) == ("label", "sc:Float")
