"""No orphans: a process that is killed with whoever started it (Linux; elsewhere nothing happens)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies."""
    death_pact(os.getppid())()


def death_pact(parent: int) -> Callable[[], None]:
    """What a new process does to die with `parent`; safe between fork and exec, where little is.

    Everything that takes a lock (loading the C library) happens here, before the fork.
    """
    if sys.platform != "linux":
        return lambda: None
    prctl, kill_signal = ctypes.CDLL(None).prctl, int(signal.SIGKILL)

    def agree() -> None:
        prctl(_PR_SET_PDEATHSIG, kill_signal)
        if os.getppid() != parent:  # it died before we asked
            os.kill(os.getpid(), kill_signal)

    return agree
