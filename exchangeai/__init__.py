"""What an ECG is, and how the processes of the platform meet; knows no service."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exchangeai.reading import read_ecg

__all__ = ["read_ecg"]
__version__ = "0.1.0"

# Before the first import of gRPC. None of our children uses the gRPC of its parent, and the handlers that
# would let it do so can end a child before its exec with "Bad file descriptor" (grpc issue 43055).
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")


def __getattr__(name: str) -> Any:
    # Services that read no files start without numpy and the readers' libraries.
    if name == "read_ecg":
        from exchangeai.reading import read_ecg

        return read_ecg
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
