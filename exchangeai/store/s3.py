"""The object store: any S3 endpoint, through the `minio` client.

Every object carries its SHA-256 as metadata; reading verifies it, so that a damaged object is an error
and never a signal. The client signs the payload's digest, so that a server refuses a damaged upload.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import certifi
import urllib3
from minio import Minio
from minio.error import S3Error
from urllib3.exceptions import HTTPError

from exchangeai.config import ConfigError, StoreConfig
from exchangeai.errors import ExchangeaiError, NotFound, Overloaded, PermissionDenied, Unavailable

BUCKETS = ("sources", "recordings", "windows", "datasets", "runs", "models", "results")
"""First components of keys. `sources` is for the ingest service alone."""

THREADS = 8
"""Requests at once from one process; also the size of the connection pool."""

_DIGEST = "x-amz-meta-sha256"
_CHUNK = 1 << 20
_RETRY_BUDGET_S = 30.0
T = TypeVar("T")


class DamagedObject(ExchangeaiError):
    """The bytes read are not the bytes written."""


class BlockingStore:
    """The verbs, blocking. Safe to use from several threads.

    Passing failures (no connection, 5xx, SlowDown) are tried again for up to 30 s, then raise Unavailable
    or Overloaded. All verbs are safe to repeat.
    """

    def __init__(
        self,
        client: Minio,
        prefix: str,
        sleep: Callable[[float], None] = time.sleep,
        foreign: frozenset[str] = frozenset(),
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._sleep = sleep
        self._foreign = foreign

    def make_buckets(self) -> None:
        """Create the buckets that are absent."""
        for bucket in BUCKETS:
            self._retry(lambda name=f"{self._prefix}-{bucket}": self._make_bucket(name))

    def put(self, key: str, data: bytes) -> None:
        """Store bytes under the key, whole or not at all; replaces what was there."""
        bucket, name = self._locate(key)
        digest = hashlib.sha256(data).hexdigest()
        self._retry(
            lambda: self._client.put_object(
                bucket, name, io.BytesIO(data), len(data), metadata={"sha256": digest}
            )
        )

    def put_file(self, key: str, path: Path) -> None:
        """Store a file's bytes under the key."""
        bucket, name = self._locate(key)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._retry(lambda: self._client.fput_object(bucket, name, str(path), metadata={"sha256": digest}))

    def get(self, key: str) -> bytes:
        """The object's bytes. Raises NotFound, or DamagedObject when the digest is wrong."""
        return self._retry(lambda: b"".join(self._chunks(key)))

    def first_bytes(self, key: str, count: int) -> bytes:
        """The beginning of an object, unverified: enough to tell what it is. Raises NotFound."""
        bucket, name = self._locate(key)

        def attempt() -> bytes:
            try:
                response = self._client.get_object(bucket, name, length=count)
            except S3Error as e:
                # No range of an empty object can be had.
                if e.code == "InvalidRange":
                    return b""
                raise
            try:
                return response.read()
            finally:
                response.close()
                response.release_conn()

        return self._retry(attempt)

    def get_file(self, key: str, path: Path) -> None:
        """Write the object to `path`, which appears whole or not at all."""

        def attempt() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as out:
                partial = Path(out.name)
                try:
                    for chunk in self._chunks(key):
                        out.write(chunk)
                except BaseException:
                    partial.unlink(missing_ok=True)
                    raise
            partial.replace(path)

        self._retry(attempt)

    def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""
        bucket, name = self._locate(key)
        try:
            self._retry(lambda: self._client.stat_object(bucket, name))
        except NotFound:
            return False
        return True

    def list(self, prefix: str) -> list[str]:
        """All keys that begin with the prefix, which must name a bucket, sorted."""
        bucket, start = self._locate(prefix)

        def attempt() -> list[str]:
            found = self._client.list_objects(bucket, prefix=start, recursive=True)
            return sorted(f"{prefix.split('/', 1)[0]}/{x.object_name}" for x in found)

        return self._retry(attempt)

    def delete(self, key: str) -> None:
        """Remove the object; there being none is fine."""
        bucket, name = self._locate(key)
        self._retry(lambda: self._client.remove_object(bucket, name))

    def _locate(self, key: str) -> tuple[str, str]:
        bucket, _, name = key.partition("/")
        if bucket in self._foreign:
            return bucket, name
        if bucket not in BUCKETS:
            raise ValueError(f"the key {key!r} is in no known bucket")
        return f"{self._prefix}-{bucket}", name

    def _make_bucket(self, name: str) -> None:
        if not self._client.bucket_exists(name):
            try:
                self._client.make_bucket(name)
            except S3Error as e:
                if e.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                    raise

    def _chunks(self, key: str) -> Iterator[bytes]:
        bucket, name = self._locate(key)
        response = self._client.get_object(bucket, name)
        try:
            digest = hashlib.sha256()
            for chunk in response.stream(_CHUNK):
                digest.update(chunk)
                yield chunk
            expected = response.headers.get(_DIGEST)
        finally:
            response.close()
            response.release_conn()
        if expected and digest.hexdigest() != expected:
            raise DamagedObject(f"the object {key} is damaged: its digest is not the one it was stored with")

    def _retry(self, attempt: Callable[[], T]) -> T:
        deadline, pause = time.monotonic() + _RETRY_BUDGET_S, 0.1
        while True:
            try:
                with _errors_translated():
                    return attempt()
            except (Unavailable, Overloaded):
                if time.monotonic() + pause > deadline:
                    raise
            self._sleep(pause)
            pause = min(pause * 2, 3.0)


class ObjectStore:
    """The verbs of BlockingStore for asyncio, on a few threads."""

    def __init__(self, blocking: BlockingStore, threads: ThreadPoolExecutor) -> None:
        self.blocking = blocking
        self._threads = threads

    async def put(self, key: str, data: bytes) -> None:
        """Store bytes under the key, whole or not at all; replaces what was there."""
        await self._run(self.blocking.put, key, data)

    async def put_file(self, key: str, path: Path) -> None:
        """Store a file's bytes under the key."""
        await self._run(self.blocking.put_file, key, path)

    async def get(self, key: str) -> bytes:
        """The object's bytes. Raises NotFound, or DamagedObject when the digest is wrong."""
        return await self._run(self.blocking.get, key)

    async def get_file(self, key: str, path: Path) -> None:
        """Write the object to `path`, which appears whole or not at all."""
        await self._run(self.blocking.get_file, key, path)

    async def exists(self, key: str) -> bool:
        """Whether there is an object under the key."""
        return await self._run(self.blocking.exists, key)

    async def list(self, prefix: str) -> list[str]:
        """All keys that begin with the prefix, which must name a bucket, sorted."""
        return await self._run(self.blocking.list, prefix)

    async def delete(self, key: str) -> None:
        """Remove the object; there being none is fine."""
        await self._run(self.blocking.delete, key)

    async def _run(self, verb: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, verb, *arguments)


def open_blocking_store(config: StoreConfig, foreign: frozenset[str] = frozenset()) -> BlockingStore:
    """A store for scripts and training ranks; the buckets must exist.

    Keys whose first component is in `foreign` are in the bucket of exactly that name, which is not the
    platform's: an import reads there.
    """
    url = urlsplit(config.url)
    if url.scheme not in ("s3", "s3+http") or not url.netloc:
        raise ConfigError(
            f"the store's URL must be s3://host:port or s3+http://host:port, not {config.url!r}"
        )
    client = Minio(
        url.netloc,
        access_key=config.access_key or None,
        secret_key=config.secret_key or None,
        region=config.region,
        secure=url.scheme == "s3",
        http_client=urllib3.PoolManager(
            maxsize=THREADS,
            timeout=urllib3.Timeout(connect=5, read=60),
            retries=False,
            ca_certs=config.ca_file or certifi.where(),
        ),
    )
    return BlockingStore(client, config.bucket_prefix, foreign=foreign)


@asynccontextmanager
async def open_store(config: StoreConfig) -> AsyncGenerator[ObjectStore]:
    """Open the store and make its buckets when they are absent."""
    blocking = open_blocking_store(config)
    with ThreadPoolExecutor(THREADS, thread_name_prefix="store") as threads:
        await asyncio.get_running_loop().run_in_executor(threads, blocking.make_buckets)
        yield ObjectStore(blocking, threads)


_ERRORS: dict[str, type[ExchangeaiError]] = {
    "NoSuchKey": NotFound,
    "NoSuchBucket": NotFound,
    "AccessDenied": PermissionDenied,
    "InvalidAccessKeyId": PermissionDenied,
    "SignatureDoesNotMatch": PermissionDenied,
    "SlowDown": Overloaded,
    "ServiceUnavailable": Unavailable,
    "InternalError": Unavailable,
    "RequestTimeout": Unavailable,
}


@contextmanager
def _errors_translated() -> Generator[None]:
    try:
        yield
    except S3Error as e:
        kind = _ERRORS.get(e.code or "")
        if kind is None and getattr(e.response, "status", 500) < 500:
            raise
        raise (kind or Unavailable)(f"object store: {e.code} for {e.bucket_name}/{e.object_name}") from e
    except (HTTPError, ConnectionError, TimeoutError) as e:
        raise Unavailable(f"the object store does not answer ({type(e).__name__})") from e
