"""Which inputs a canary answers: a fixed share of them, told by the input's digest alone."""

from __future__ import annotations

import hashlib

_STEPS = 1 << 64


def falls_to_canary(name: str, input_digest: str, share: float) -> bool:
    """Whether an input is within a share (0 to 1) of all inputs.

    The same ECG is always answered by the same version, on every replica; when the share grows, what the
    canary answered stays with it. The name is hashed as well, so that two models do not try out their
    canaries on the same patients. An input without a digest is never within.
    """
    if not input_digest or share <= 0:
        return False
    hashed = hashlib.sha256(f"{name}\n{input_digest}".encode()).digest()
    return int.from_bytes(hashed[:8], "big") < share * _STEPS
