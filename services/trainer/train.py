"""One training run: `torchrun -m services.trainer.train --run-dir DIR [--recipe NAME --dataset FOLDER]`.

Reads `job.json` in DIR, or makes it of a recipe and a data set in a folder; trains, evaluates, exports
`model.onnx` and writes `result.json` last. The first rank tells what happens as JSON lines on standard output
(see `services.trainer.report`). SIGTERM ends the run after the step in hand, its checkpoint saved. Equal
seeds, data and world sizes give equal weights, however often the run was killed and resumed in between.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType

import torch

from exchangeai import __version__
from exchangeai.config import StoreConfig, from_env
from exchangeai.dataset import (
    MANIFEST_FILE,
    PARTS,
    DatasetManifest,
    Part,
    decode_manifest,
    download,
    manifest_key,
    open_part,
)
from exchangeai.errors import ContractViolation, ExchangeaiError, Unavailable
from exchangeai.model_file import Manifest
from exchangeai.orphans import die_with_parent
from exchangeai.store import BlockingStore, open_blocking_store
from services.trainer import checkpoint, int8_form, label_share, network, objective, recipe
from services.trainer.checkpoint import Checkpoint
from services.trainer.embeddings import embeddings
from services.trainer.evaluation import novelty
from services.trainer.export import export
from services.trainer.failures import plain_reason
from services.trainer.finish import Trained, finish
from services.trainer.job import (
    BASE_FILE,
    CHECKPOINT_FILE,
    GAVE_UP,
    STOPPED,
    Job,
    checkpoint_key,
    read_job,
    write_result,
)
from services.trainer.layers import INPUT_HZ
from services.trainer.loop import StopRequested, predict, train
from services.trainer.network import Network
from services.trainer.ranks import joined, peers_lost
from services.trainer.report import (
    Activity,
    Alive,
    Exporting,
    Failed,
    Finished,
    Interrupted,
    Report,
    Stopped,
    emit,
)
from services.trainer.scope import scope
from services.trainer.soundness import require_sound
from services.trainer.tensors import seed_all

log = logging.getLogger(__name__)


def run(folder: Path, stop: Callable[[], bool], store: BlockingStore | None) -> None:
    """The whole run of one rank. Raises StopRequested and ExchangeErrors that say why."""
    torch.use_deterministic_algorithms(True, warn_only=torch.cuda.is_available())
    with joined() as ranks:
        ranks.wait()  # the first may just be writing the job
        job = read_job(folder)

        def tell(report: Report) -> None:
            if ranks.first:
                emit(report)

        tell(Activity(text="Fetching the data set"))
        if ranks.local_rank == 0 and store is not None:
            download(_Telling(store, lambda: tell(Alive())), job.dataset_id, job.data_folder)
        ranks.wait()
        manifest, parts = _open(job, store)
        seed_all(job.options.seed)
        path, key = folder / CHECKPOINT_FILE, checkpoint_key(job.run_id)
        last = checkpoint.furthest(path, store, key) if ranks.first else b""
        resumed = checkpoint.parse(ranks.share_bytes(last))

        options = job.options
        rows = label_share.rows(parts["train"], job.task, options.label_share, options.seed)
        if len(rows) < ranks.world:
            raise ContractViolation(
                f"{len(rows)} windows are too few to train with; take a greater share of the patients"
            )
        learned = objective.fit(
            parts["train"].labels[rows],
            job.task,
            weigh=options.class_weights,
            label_smoothing=options.label_smoothing,
        )

        def fresh() -> Network:
            net = network.build(job.architecture, len(job.classes), options.method)
            if job.base_digest:
                base = (folder / BASE_FILE).read_bytes()
                if network.start_from(net, job.architecture, job.classes, base):
                    learned.unsettle(net)
            return net

        def save(made: Checkpoint) -> None:
            if ranks.first:
                checkpoint.save(made, path, store, key)

        tell(Activity(text="Training"))
        trained = train(
            job, parts, learned, ranks, fresh=fresh, resumed=resumed, save=save, stop=stop, tell=tell
        )
        if ranks.any(stop()):
            raise StopRequested
        net = fresh().to(ranks.device)
        net.load_state_dict(trained.best)
        learned.settle(net)
        tell(Activity(text="Evaluating on the test part"))
        validation, test = (
            predict(net, parts[p], ranks, lambda: tell(Alive())) for p in ("validation", "test")
        )
        detector = novelty.detector(
            parts["train"],
            rows,
            parts["validation"],
            lambda part, chosen, orders: embeddings(net, part, chosen, ranks, lambda: tell(Alive()), orders),
        )
    if ranks.first:
        learned_from = label_share.training_data(
            job.dataset_id, manifest.parts["train"], parts["train"], rows
        )
        contract = scope(
            parts["train"],
            rows,
            novelty.looked_at(rows),
            lead_loss="lead_loss" in options.augmentations,
            crop_s=net.crop_samples / INPUT_HZ,
        )
        made = Trained(
            learned_from=learned_from,
            best_epoch=trained.progress.best_epoch,
            validation=validation,
            test=test,
            scope=contract,
            novelty=detector,
        )

        if (search := trained.progress.rate_search) is not None:
            job = replace(job, options=replace(options, learning_rate=search.chosen))  # for the card

        def exported(described: Manifest) -> bytes:
            tell(Exporting())
            return export(net, described)

        result = finish(folder, job, manifest, made, exported)
        if options.int8:
            tell(Activity(text="Making the form in eight bits"))
            result = replace(result, int8_form=int8_form.make(folder, job, manifest, result))
        write_result(folder, result)
        tell(Finished())


class _Telling:
    """The store, saying so whenever a file has come: a large data set takes minutes."""

    def __init__(self, store: BlockingStore, tell: Callable[[], None]) -> None:
        self._store = store
        self._tell = tell

    def get(self, key: str) -> bytes:
        """The object."""
        return self._store.get(key)

    def get_file(self, key: str, path: Path) -> None:
        """The object, as a file."""
        self._store.get_file(key, path)
        self._tell()


def _open(job: Job, store: BlockingStore | None) -> tuple[DatasetManifest, dict[str, Part]]:
    key = manifest_key(job.dataset_id)
    stored = (job.data_folder / MANIFEST_FILE).read_bytes() if store is None else store.get(key)
    manifest = decode_manifest(stored)
    parts = {p: open_part(job.data_folder, manifest, p) for p in PARTS}
    require_sound(parts, job.task, job.options.processes)
    return manifest, parts


def main(arguments: list[str]) -> int:
    """Run one rank; returns its exit code."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="services.trainer.train", description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True, help="folder of job.json and all that is made")
    parser.add_argument("--recipe", default="", help="make job.json of this recipe first")
    parser.add_argument("--dataset", type=Path, help="with --recipe: folder of manifest.json and shards")
    parser.add_argument("--base", type=Path, help="with --recipe: model file whose weights it starts from")
    parser.add_argument("--seed", type=int, help="with --recipe: which of its seeds (default: the first)")
    chosen = parser.parse_args(arguments)
    if bool(chosen.recipe) != bool(chosen.dataset):
        parser.error("--recipe and --dataset go together")
    folder: Path = chosen.run_dir
    rank = os.environ.get("RANK", "0")
    own = f"%(asctime)s rank {rank}: %(message)s"
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=own)
    logging.getLogger("services.trainer").setLevel(logging.INFO)
    # No Event: its lock is not one that a handler may take while the code that it interrupts holds it.
    received: list[int] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        received.append(number)

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    store = None
    if os.environ.get("EXCHANGEAI_STORE_URL"):
        store = open_blocking_store(from_env(StoreConfig, prefix="EXCHANGEAI_STORE_"))
    first = rank == "0"
    try:
        if chosen.recipe and first:
            named = recipe.load(chosen.recipe)
            if named.seeds or chosen.seed is not None:
                named = recipe.seeded(named, chosen.seed)
            recipe.prepare(named, chosen.dataset, folder, chosen.base, __version__)
        run(folder, lambda: bool(received), store)
    except StopRequested:
        if first:
            emit(Stopped())
        return STOPPED
    except Unavailable as e:
        # Not the run's fault: the worker tries again from the checkpoint.
        log.exception("a server did not answer")
        emit(Interrupted(reason=f"{e}, again and again; continue the run when it does"))
        return 1
    except ExchangeaiError as e:
        log.exception("the run failed")
        emit(Failed(reason=str(e)))
        return GAVE_UP
    except Exception as e:
        if peers_lost(e):
            # Whoever was lost knows why; the launcher tries again from the checkpoint.
            log.exception("other ranks were lost")
            return 1
        if (reason := plain_reason(e)) is not None:
            log.exception("the machine has too little of something")
            emit(Failed(reason=reason))
            return GAVE_UP
        # A defect; repeating it would only repeat it, so it is reported and not left to look like a crash.
        log.exception("the run failed")
        emit(Failed(reason=f"an internal error ({type(e).__name__}); the trainer's log has the details"))
        return GAVE_UP
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
