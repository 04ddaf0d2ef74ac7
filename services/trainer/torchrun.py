"""torchrun, killed with whoever started it: `python -m services.trainer.torchrun ARGUMENTS`."""

from __future__ import annotations

import signal
import sys
from typing import Any, cast

from exchangeai.orphans import die_with_parent
from services.trainer.job import GAVE_UP, STOPPED
from services.trainer.report import Killed, emit


def rank_environment(cores: int, processes: int) -> dict[str, str]:
    """Variables that `processes` ranks need when they share `cores` of one machine."""
    return {
        "OMP_NUM_THREADS": str(max(1, cores // processes)),
        # Threads that spin while they wait for each other make a step ten times as long as soon as
        # anything else wants the cores (measured: 4.2 s against 0.5 s at a load of 8 on 2 cores).
        "OMP_WAIT_POLICY": "PASSIVE",
        # cuBLAS is deterministic only with this (PyTorch, notes on reproducibility)
        "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    }


def main(arguments: list[str]) -> int:
    """Hand over to torch's launcher; returns STOPPED, GAVE_UP or 1 for what torch always answers with 1."""
    die_with_parent()
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        cast(Any, run).main(arguments)
    except SignalException:
        return STOPPED
    except ChildFailedError as e:
        codes = {failure.exitcode for failure in e.failures.values()}
        if -signal.SIGKILL in codes:
            emit(Killed())
        return next((code for code in (GAVE_UP, STOPPED) if code in codes), 1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
