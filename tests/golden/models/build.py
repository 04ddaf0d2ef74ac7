"""Writes the golden model files: `python tests/golden/models/build.py`; only when the contract changes.

They are made by `exchangeai.testing.models` (no training, no data of any person) and stay as they are, so
that a later program is held to files that an earlier one wrote.
"""

from __future__ import annotations

from pathlib import Path

from exchangeai.facts import Task
from exchangeai.testing.models import tiny_model

if __name__ == "__main__":
    for task in Task:
        name = f"tiny_{task.value}"
        Path(__file__).with_name(f"{name}.onnx").write_bytes(tiny_model(name=name, task=task))
