"""One machine of a run: fetches the run's folder from the store, starts its ranks, gives the results back.

    python -m services.trainer.node --run-id ID --attempt 1 --processes 1 \\
        --nodes 2 --node-variable JOB_COMPLETION_INDEX --endpoint HOST:PORT --address NAME

The machine that the variable numbers 0 hosts the rendezvous (c10d). torchrun numbers machines in the order
of their addresses, which a launcher therefore chooses so that machine 0 is first where that matters to it.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from exchangeai.config import StoreConfig, from_env
from exchangeai.errors import ExchangeaiError
from exchangeai.orphans import die_with_parent
from exchangeai.store import open_blocking_store
from services.trainer import remote, torchrun
from services.trainer.job import STOPPED

MEETING_S = 1800
"""How long a machine waits for the others, which may have to be found or to load an image."""
log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Run the machine's ranks; returns 0, STOPPED, GAVE_UP or 1."""
    die_with_parent()
    # As the first process of a container it would not even notice SIGTERM; torchrun has handlers of its own.
    signal.signal(signal.SIGTERM, _end)
    options = _options(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    store = open_blocking_store(from_env(StoreConfig, prefix="EXCHANGEAI_STORE_"))
    prefix = remote.prefix_of(options.run_id, options.attempt)
    with tempfile.TemporaryDirectory(prefix="run-") as made:
        folder = Path(made) / "run"
        try:
            remote.receive(store, prefix, folder, Path(made) / "datasets")
            os.environ.update(torchrun.rank_environment(_cores(os.environ), options.processes))
            code = torchrun.main(
                [*_meeting(options, os.environ), "-m", "services.trainer.train", "--run-dir", str(folder)]
            )
            signal.signal(signal.SIGTERM, _end)
            if code == 0:
                remote.give_back(store, prefix, folder)
        except ExchangeaiError:
            log.exception("the run's folder could not be exchanged with the store")
            return 1
        return code


def _meeting(options: argparse.Namespace, environment: Mapping[str, str]) -> list[str]:
    """How torchrun finds the other machines."""
    shape = ["--nproc-per-node", str(options.processes), "--max-restarts", "0"]
    shape += ["--shutdown-timeout", str(options.grace)]
    if options.nodes == 1:
        return [*shape, "--standalone"]
    hosts = environment[options.node_variable] == "0"
    wait = f"is_host={str(hosts).lower()},read_timeout={MEETING_S},join_timeout={MEETING_S}"
    shape += ["--nnodes", str(options.nodes), "--rdzv-backend", "c10d", "--rdzv-endpoint", options.endpoint]
    shape += ["--rdzv-id", f"{options.run_id}-{options.attempt}", "--rdzv-conf", wait]
    return [*shape, "--local-addr", options.address] if options.address else shape


def _cores(environment: Mapping[str, str]) -> int:
    # A process sees every core of its node; the variable tells it how many it may use.
    return int(environment.get("EXCHANGEAI_CORES") or len(os.sched_getaffinity(0)))


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(STOPPED)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="services.trainer.node", description=__doc__)
    parser.add_argument("--run-id", required=True, help="run whose folder is in the store")
    parser.add_argument("--attempt", type=int, required=True, help="attempt at the run, from 1")
    parser.add_argument("--processes", type=int, required=True, help="ranks of this machine")
    parser.add_argument("--nodes", type=int, default=1, help="machines in all")
    parser.add_argument("--node-variable", default="", help="variable with this machine's number, from 0")
    parser.add_argument("--endpoint", default="", help="HOST:PORT of machine 0, where all meet")
    parser.add_argument("--address", default="", help="name of this machine; the system's when not given")
    parser.add_argument("--grace", type=int, default=30, help="seconds that ranks may take to save")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
