"""`make demo`: tell the story; exit status 1 when the model does not clearly beat both baselines.

FULL=1 takes all of PTB-XL that the folder EXCHANGEAI_PTBXL holds (`../shared/data/ptbxl-100hz` if unset)
in place of the part in this repository. ARCHITECTURE chooses another network, EPOCHS another bound,
CARD another folder for the model's card (`data/demo-card` if unset).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from demo.platform import platform
from demo.records import PACKED, read_records
from demo.story import say, tell
from demo.train import DemoFailed
from exchangeai.errors import ExchangeaiError
from exchangeai.model_file import CARD_FILE
from exchangeai.v1 import run_pb2

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data" / "ptbxl-100hz"


def main() -> int:
    """Choose the data, start the platform, tell the story, print the table."""
    folder = PACKED
    if os.environ.get("FULL", "") not in ("", "0"):
        folder = Path(os.environ.get("EXCHANGEAI_PTBXL", BESIDE))
        if not (folder / "records.csv").is_file():
            print(
                f"FULL=1 needs PTB-XL at 100 Hz (records.csv and foldNN.npy.xz) and {folder} has none;"
                " set EXCHANGEAI_PTBXL to the folder that does, or leave FULL out",
                file=sys.stderr,
            )
            return 2
    options = run_pb2.TrainingOptions(seed=1, max_epochs=int(os.environ.get("EPOCHS", "0")))
    say("Research use only, not a medical device.")
    records = list(read_records(folder))
    try:
        with platform() as stubs:
            ending = tell(stubs, records, os.environ.get("ARCHITECTURE", "xresnet1d"), options)
    except (DemoFailed, ExchangeaiError, TimeoutError) as e:
        print(f"the story broke off: {e}", file=sys.stderr)
        return 1
    print(ending.table)
    card = Path(os.environ.get("CARD", "data/demo-card"))
    card.mkdir(parents=True, exist_ok=True)
    (card / CARD_FILE).write_text(ending.card.markdown, encoding="utf-8")
    for name, figure in ending.card.figures.items():
        (card / name).write_bytes(figure)
    print(f"\nThe model's card is {card / CARD_FILE}.")
    for objection in ending.objections:
        print(f"NOT GOOD ENOUGH: {objection}", file=sys.stderr)
    return 1 if ending.objections else 0


if __name__ == "__main__":
    sys.exit(main())
