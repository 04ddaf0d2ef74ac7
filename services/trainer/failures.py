"""Why a rank cannot go on, in plain words, for causes that are no defect of ours."""

from __future__ import annotations

import errno

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
OUT_OF_MEMORY = ("can't allocate memory", "out of memory", "STATUS_ALLOC_FAILED", "bad_alloc")
"""What torch's allocators, CUDA's libraries and C++ say."""
SMALLER = (
    "start a run with a smaller batch, or one that takes each batch in more parts (accumulate), or with a "
    "smaller architecture"
)
NO_ROOM = (
    "the disk is full: free some space where the trainer works (or raise the bound of its work folder), then "
    "continue the run"
)
NO_MEMORY = f"the memory ran out: {SMALLER}"
KILLED = (
    "a training process was killed from outside again and again, most likely because the memory ran out: "
    f"{SMALLER}; its checkpoint is kept, so the run can be continued where there is more memory"
)
DIED = (
    "the training processes ended without a word again and again; the run's log may say more. The checkpoint "
    "is kept, so the run can be continued"
)


def plain_reason(error: BaseException) -> str | None:
    """What to tell of an error that the machine and not the code is the cause of; None for any other."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in DISK_FULL:
            return NO_ROOM
        # torch.OutOfMemoryError is a RuntimeError, too; the service knows no torch.
        said = isinstance(cause, RuntimeError) and any(words in str(cause) for words in OUT_OF_MEMORY)
        if said or isinstance(cause, MemoryError):
            return NO_MEMORY
        if isinstance(cause, OSError) and cause.errno == errno.ENOMEM:
            return NO_MEMORY
        cause = cause.__cause__
    return None
