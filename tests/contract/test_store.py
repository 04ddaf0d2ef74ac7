"""What an object store is: this suite passes on every S3 server that the platform may be given."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from exchangeai.config import ConfigError, StoreConfig
from exchangeai.errors import NotFound, PermissionDenied
from exchangeai.store import ObjectStore, open_blocking_store, open_store
from exchangeai.store.s3 import DamagedObject


async def test_what_was_put_comes_back(store: ObjectStore) -> None:
    data = os.urandom(300_000)
    await store.put("windows/a/b.bin", data)
    assert await store.get("windows/a/b.bin") == data


async def test_putting_again_replaces(store: ObjectStore) -> None:
    await store.put("windows/twice", b"old")
    await store.put("windows/twice", b"new")
    assert await store.get("windows/twice") == b"new"


async def test_absent_key_is_not_found(store: ObjectStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        await store.get("models/nothing")
    with pytest.raises(NotFound):
        await store.get_file("models/nothing", tmp_path / "nothing")
    assert list(tmp_path.iterdir()) == []
    assert not await store.exists("models/nothing")


async def test_files_go_there_and_back(store: ObjectStore, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "deep" / "target"
    source.write_bytes(os.urandom(7 << 20))
    await store.put_file("datasets/d/shard", source)
    await store.get_file("datasets/d/shard", target)
    assert target.read_bytes() == source.read_bytes()
    assert [p.name for p in target.parent.iterdir()] == ["target"]


async def test_the_beginning_of_an_object(store: ObjectStore) -> None:
    await store.put("windows/long", b"0123456789")
    await store.put("windows/empty", b"")
    assert store.blocking.first_bytes("windows/long", 4) == b"0123"
    assert store.blocking.first_bytes("windows/long", 40) == b"0123456789"
    assert store.blocking.first_bytes("windows/empty", 4) == b""
    with pytest.raises(NotFound):
        store.blocking.first_bytes("windows/none", 4)


async def test_a_bucket_of_others_is_read_by_its_own_name(
    store: ObjectStore, store_config: StoreConfig
) -> None:
    await store.put("windows/theirs/x", b"x")
    bucket = f"{store_config.bucket_prefix}-windows"
    foreign = open_blocking_store(store_config, frozenset({bucket}))
    assert foreign.list(f"{bucket}/theirs/") == [f"{bucket}/theirs/x"]
    assert foreign.get(f"{bucket}/theirs/x") == b"x"
    with pytest.raises(ValueError, match="no known bucket"):
        foreign.list("elsewhere/")


async def test_list_is_sorted_and_of_one_prefix(store: ObjectStore) -> None:
    for key in ("runs/r1/b", "runs/r1/a", "runs/r2/a"):
        await store.put(key, b"x")
    assert await store.list("runs/r1/") == ["runs/r1/a", "runs/r1/b"]


async def test_delete_removes_and_may_be_repeated(store: ObjectStore) -> None:
    await store.put("runs/gone", b"x")
    await store.delete("runs/gone")
    await store.delete("runs/gone")
    assert not await store.exists("runs/gone")


async def test_many_at_once(store: ObjectStore) -> None:
    await asyncio.gather(*(store.put(f"windows/many/{i:03}", bytes([i])) for i in range(64)))
    read = await asyncio.gather(*(store.get(f"windows/many/{i:03}") for i in range(64)))
    assert read == [bytes([i]) for i in range(64)]


async def test_a_damaged_object_is_an_error(store: ObjectStore, store_config: StoreConfig) -> None:
    client = store.blocking._client
    bucket = f"{store_config.bucket_prefix}-windows"
    import io

    client.put_object(bucket, "damaged", io.BytesIO(b"flipped"), 7, metadata={"sha256": "0" * 64})
    with pytest.raises(DamagedObject):
        await store.get("windows/damaged")


async def test_wrong_credentials_are_refused(store_config: StoreConfig) -> None:
    from dataclasses import replace

    wrong = replace(store_config, secret_key="0" * 64)
    with pytest.raises(PermissionDenied):
        async with open_store(wrong):
            pass


def test_a_key_outside_the_buckets_is_a_defect(store_config: StoreConfig) -> None:
    with pytest.raises(ValueError, match="no known bucket"):
        open_blocking_store(store_config).put("elsewhere/x", b"")


def test_an_url_that_is_no_s3_is_refused() -> None:
    with pytest.raises(ConfigError, match="s3://"):
        open_blocking_store(StoreConfig(url="http://x"))
