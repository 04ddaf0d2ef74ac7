"""A run's folder by way of the object store, for ranks on machines that share no disk with the trainer.

runs/<run id>/checkpoint.pt           of all attempts; the ranks write it
runs/<run id>/<attempt>/in/<file>     what the trainer gives: job.json, base.onnx
runs/<run id>/<attempt>/out/<file>    what the ranks leave; result.json comes last
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from exchangeai.store import BlockingStore, ObjectStore
from services.trainer.job import BASE_FILE, CHECKPOINT_FILE, JOB_FILE, RESULT_FILE, read_job, write_job

GIVEN = (JOB_FILE, BASE_FILE)


async def send(store: ObjectStore, prefix: str, folder: Path) -> None:
    """Put what the ranks need under `prefix`, which `prefix_of` gives."""
    for name in GIVEN:
        if (folder / name).exists():
            await store.put_file(f"{prefix}in/{name}", folder / name)


def receive(store: BlockingStore, prefix: str, folder: Path, data_dir: Path) -> None:
    """Bring what was sent into `folder`, the data set's place rewritten for this machine. Raises NotFound."""
    for key in store.list(f"{prefix}in/"):
        store.get_file(key, folder / key.removeprefix(f"{prefix}in/"))
    job = read_job(folder)
    write_job(folder, replace(job, data_folder=data_dir / job.dataset_id))


def give_back(store: BlockingStore, prefix: str, folder: Path) -> None:
    """Put the files of a finished run under `prefix`; does nothing where the first rank was not."""
    if not (folder / RESULT_FILE).exists():
        return
    own = {*GIVEN, CHECKPOINT_FILE, RESULT_FILE}
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name in (*sorted(set(files) - own), RESULT_FILE):
        store.put_file(f"{prefix}out/{name}", files[name])


async def collect(store: ObjectStore, prefix: str, folder: Path) -> bool:
    """Bring the files of a finished run into `folder`; False when it has not finished."""
    if not await store.exists(f"{prefix}out/{RESULT_FILE}"):
        return False
    for key in await store.list(f"{prefix}out/"):
        await store.get_file(key, folder / key.removeprefix(f"{prefix}out/"))
    return True


async def forget(store: ObjectStore, prefix: str) -> None:
    """Remove what was sent and given back; the checkpoint stays, so that the run can be continued."""
    for key in await store.list(prefix):
        await store.delete(key)


def prefix_of(run_id: str, attempt: int) -> str:
    """Where the store keeps the folder of one attempt at a run."""
    return f"runs/{run_id}/{attempt}/"
