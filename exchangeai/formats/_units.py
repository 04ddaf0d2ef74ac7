"""Units of voltage as files spell them."""

from __future__ import annotations

import re

_MV_PER_UNIT = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6}
_WORDS = {
    "volt": "v", "volts": "v", "millivolt": "mv", "millivolts": "mv",
    "microvolt": "uv", "microvolts": "uv", "nanovolt": "nv",
}  # fmt: skip


def mv_per(unit: str) -> float | None:
    """Millivolts per unit of `V`, `mV`, `uV` and their spellings; None for anything else.

    Case is ignored: files write `mv`, and nobody measures an ECG in megavolts.
    """
    word = re.sub(r"\s", "", unit).casefold()
    return _MV_PER_UNIT.get(_WORDS.get(word, word))
