"""Does what is on the work queue: launches a run, follows it, and publishes its model."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from exchangeai import __version__
from exchangeai.bus import Bus, Delivery, FactIndex, Later
from exchangeai.dataset import manifest_key
from exchangeai.errors import ContractViolation, ExchangeaiError, NotFound, Overloaded, Unavailable
from exchangeai.events.v1.run_requested_pb2 import RunRequested
from exchangeai.facts import DatasetFact, RunFact, RunState, TestLooksFact
from exchangeai.model_file import object_key
from exchangeai.store import ObjectStore
from exchangeai.telemetry import RUNS_ACTIVE
from exchangeai.test_looks import record_test_look
from services.trainer.failures import KILLED, NO_ROOM, plain_reason
from services.trainer.follow import Follower
from services.trainer.job import BASE_FILE, Job, read_result, write_job
from services.trainer.launchers import End, Launch, Launcher
from services.trainer.publish import Publisher
from services.trainer.report import Report
from services.trainer.run_log import RunLogs, fold, read, tail
from services.trainer.runs import Runs, announce
from services.trainer.scores import SCORES_FILE, scores_key

MOST_STARTS = 5
"""In a row, without the end of an epoch."""
log = logging.getLogger(__name__)


class RanksDied(Exception):
    """The ranks ended without a word, as when the kernel kills them: the message is delivered again."""


class Worker:
    """Handles RunRequested; a run interrupted anywhere goes on from its checkpoint."""

    def __init__(
        self,
        bus: Bus,
        store: ObjectStore,
        runs: Runs,
        index: FactIndex[RunFact],
        publisher: Publisher,
        launcher: Launcher,
        work_dir: Path,
        now_s: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._store = store
        self._facts = bus.facts(RunFact)
        self._datasets = bus.facts(DatasetFact)
        self._looks = bus.facts(TestLooksFact)
        self._runs = runs
        self._index = index
        self._publisher = publisher
        self._launcher = launcher
        self._run_dir = work_dir / "runs"
        self.logs = RunLogs(store, self._run_dir)
        """What the ranks of runs have written."""
        self._data_dir = work_dir / "datasets"
        self._now_s = now_s
        self._in_use: list[str] = []
        self._in_hand: set[str] = set()

    async def handle(self, event: RunRequested, delivery: Delivery) -> None:
        """Work on one attempt of a run until it ended or the service drains."""
        run = await self._runs.get(event.run_id)
        if run.attempt != event.attempt or run.state.ended:
            return
        if run.run_id in self._in_hand:
            # A silent stretch was longer than the server's patience, or the event was asked for twice.
            raise Later(5.0, "the run is worked at already")
        self._in_hand.add(run.run_id)
        try:
            await self._take(run, delivery)
        finally:
            self._in_hand.discard(run.run_id)

    async def _take(self, run: RunFact, delivery: Delivery) -> None:
        if run.state is RunState.QUEUED or run.state.working:
            run = await self._move(run.run_id, RunState.PREPARING, activity="Starting", starts=run.starts + 1)
        if not run.state.working:
            # Cancelled while nobody followed it; its ranks may live elsewhere.
            await self._launcher.clear(self._launch(run))
            await self._end(run, RunState.CANCELLED)
            return
        if run.starts > MOST_STARTS:
            # Those before took this process with them, or it would have counted their ends.
            await self._end(run, RunState.FAILED, error=KILLED)
            return
        self._in_use.append(run.dataset_id)
        try:
            with RUNS_ACTIVE.track_inprogress():
                await self._work(run, delivery)
        except (Unavailable, Overloaded):
            with suppress(ExchangeaiError):
                await self._move(run.run_id, RunState.QUEUED, activity="Waiting for the servers")
            raise  # delivered again: the servers are at fault, not the run
        except ExchangeaiError as e:
            log.exception("a run failed")
            await self._end(run, RunState.FAILED, error=str(e))
        except OSError as e:
            if plain_reason(e) != NO_ROOM:
                raise
            log.exception("a run found no room")
            await self._end(run, RunState.FAILED, error=NO_ROOM)
        finally:
            self._in_use.remove(run.dataset_id)

    async def _work(self, run: RunFact, delivery: Delivery) -> None:
        launch = await self._prepare(run)
        follower = Follower(self._facts, run, self._now_s)

        async def tell(report: Report) -> None:
            await delivery.progress()
            before = follower.state
            await follower.hear(report)
            if follower.state is not before:
                await announce(self._bus, await self._runs.get(run.run_id))

        stop = asyncio.Event()
        watcher = asyncio.create_task(self._stop_when_cancelled(run.run_id, stop))
        try:
            async with self.logs.kept(run.run_id, launch.processes):
                end = await self._launcher.run(launch, tell, stop, delivery.stopping)
                if end is not End.LEFT:
                    await asyncio.to_thread(fold, launch.folder, launch.processes)
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        await follower.write()
        await self._settle(run, launch, follower, end, delivery)

    async def _settle(
        self, run: RunFact, launch: Launch, follower: Follower, end: End, delivery: Delivery
    ) -> None:
        """Decide what the end of the ranks means."""
        if end is End.LEFT:
            await self._facts.change(run.run_id, lambda now: replace(now, starts=0))
            raise Later(1.0, "the ranks run on without this process")
        result = read_result(launch.folder)
        if result is not None and end is End.FINISHED:
            await record_test_look(self._looks, run.dataset_id, run.run_id, self._now_s())
            await self._store.put_file(scores_key(run.run_id), launch.folder / SCORES_FILE)
            digest, version, int8 = None, 0, result.int8_form
            # What a comparison teaches with few labels only measures; nobody is to predict with it.
            if not run.comparison_id or run.options.label_share == 1:
                digest = result.digest
                version = await self._publisher.publish(run.model_name, launch.folder, digest)
                int8 = await self._publisher.publish_int8(launch.folder, int8)
            await self._end(
                run,
                RunState.SUCCEEDED,
                test=result.test,
                best_epoch=result.best_epoch,
                model_digest=digest,
                model_version=version,
                inference_ms=result.inference_ms,
                int8_form=int8,
                progress=1.0,
            )
            return
        if follower.failed is None and (await self._runs.get(run.run_id)).state is RunState.CANCELLING:
            await self._end(run, RunState.CANCELLED)
            return
        if delivery.stopping.is_set():
            await self._move(run.run_id, RunState.QUEUED, activity="Waiting for a worker")
            raise Later(1.0, "the service drains")
        log.error(
            "the ranks failed",
            extra={"fields": {"run_id": run.run_id, "end": end, "log": tail(read(launch.folder), 4000)}},
        )
        if follower.failed is None and (await self._runs.get(run.run_id)).starts < MOST_STARTS:
            raise RanksDied
        await self._end(
            run,
            RunState.FAILED,
            error=follower.failed or follower.ended_by,
        )

    def _launch(self, run: RunFact) -> Launch:
        return Launch(
            run_id=run.run_id,
            attempt=run.attempt,
            folder=self._run_dir / run.run_id,
            processes=run.options.processes,
        )

    async def _prepare(self, run: RunFact) -> Launch:
        dataset = await self._datasets.get(run.dataset_id)
        if dataset is None:
            raise NotFound("the data set was deleted; the run cannot go on")
        await self._identify(run)
        launch = self._launch(run)
        folder = launch.folder
        folder.mkdir(parents=True, exist_ok=True)
        self._data_dir.mkdir(parents=True, exist_ok=True)
        for cached in self._data_dir.iterdir():
            if cached.name not in self._in_use:
                await asyncio.to_thread(shutil.rmtree, cached, ignore_errors=True)
        digest = ""
        if run.base_model:
            digest = self._runs.base_fact(run.base_model).digest
            await self._store.get_file(object_key(digest), folder / BASE_FILE)
        write_job(
            folder,
            Job(
                run_id=run.run_id,
                model_name=run.model_name,
                dataset_id=run.dataset_id,
                data_folder=self._data_dir / run.dataset_id,
                architecture=run.architecture,
                task=dataset.value.task,
                classes=dataset.value.classes,
                options=run.options,
                base_digest=digest,
                code_version=__version__,
            ),
        )
        return launch

    async def _identify(self, run: RunFact) -> None:
        """Write down what exactly the run learns from, and by which code."""
        try:
            manifest = await self._store.get(manifest_key(run.dataset_id))
        except NotFound as e:
            raise NotFound("the data set's files are no longer in the store; build it again") from e
        digest = hashlib.sha256(manifest).hexdigest()
        if run.dataset_digest not in ("", digest):
            raise ContractViolation(
                "the data set was built anew with other contents since the run began; start a new run"
            )
        await self._facts.change(
            run.run_id, lambda now: replace(now, dataset_digest=digest, code_version=__version__)
        )

    async def _stop_when_cancelled(self, run_id: str, stop: asyncio.Event) -> None:
        await self._index.wait(run_id, lambda r: r is not None and r.state is RunState.CANCELLING)
        stop.set()

    async def _move(self, run_id: str, after: RunState, *, activity: str, starts: int = 0) -> RunFact:
        """Between the queue and work; a run that is to stop, or has ended, stays as it is."""

        def edit(run: RunFact) -> RunFact:
            if run.state is not RunState.QUEUED and not run.state.working:
                return run
            return replace(
                run, state=after, activity=activity, starts=starts, eta_s=0.0, updated_at=self._now_s()
            )

        moved = await self._facts.change(run_id, edit)
        await announce(self._bus, moved)
        return moved

    async def _end(self, run: RunFact, state: RunState, **changes: object) -> None:
        def edit(now: RunFact) -> RunFact:
            if now.attempt != run.attempt or now.state.ended:
                return now
            return replace(
                now,
                state=state,
                activity="",
                eta_s=0.0,
                updated_at=self._now_s(),
                **changes,  # pyright: ignore[reportArgumentType]
            )

        ended = await self._facts.change(run.run_id, edit)
        await announce(self._bus, ended)
        await self._launcher.clear(self._launch(run))
        # The checkpoint is in the store; here it would only take room.
        await asyncio.to_thread(shutil.rmtree, self._run_dir / run.run_id, ignore_errors=True)
