"""How often a model calls ECGs unlike its training data: real ones, no ECGs, and ECGs with something wrong.

`python -m benchmarks.bench_novelty [--model FILE]` on PTB-XL at 100 Hz (EXCHANGEAI_PTBXL: its folder). The
detector is fitted on folds 1 and 2, its limit on a part of fold 9, as at training; more of fold 9 is judged.
Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from demo.records import LEADS, SAMPLING_RATE_HZ, load_steps, to_12_leads
from exchangeai.novelty import Scorer
from exchangeai.recording import Lead, Recording
from exchangeai.signal import standardise
from models.__main__ import BESIDE
from services.inference.sessions import Session
from services.trainer.evaluation import novelty

Windows = npt.NDArray[np.float32]
ROOT = Path(__file__).resolve().parents[1]
FITTED, VALIDATED, JUDGED, ALTERED = 700, 1000, 400, 200


def windows(source: Path, fold: int, count: int) -> Windows:
    """The first recordings of a fold in the tensor contract, [n, 12, 5000]."""
    signals = to_12_leads(load_steps(source / f"fold{fold:02d}.npy.xz"))[:count]
    return np.stack(
        [
            standardise(
                Recording(
                    format="npy",
                    leads=tuple(
                        Lead(name=n, samples=y, sampling_rate_hz=SAMPLING_RATE_HZ)
                        for n, y in zip(LEADS, x, strict=True)
                    ),
                )
            ).millivolts()[0]
            for x in signals
        ]
    )


def altered(real: Windows, random: np.random.Generator) -> dict[str, npt.NDArray[np.floating]]:
    """What is judged: each [n, 12, 5000]."""
    count, t_s = len(real), np.arange(real.shape[2]) / 500
    heights_mv, rates_hz = random.uniform(0.2, 1.5, (count, 12, 1)), random.uniform(0.8, 10, (count, 1, 1))
    phases = random.uniform(0, 2 * np.pi, (count, 12, 1))
    one, two, three = real[:, 0], real[:, 1], real[:, 2]
    hands = [-one, three, two, real[:, 4], real[:, 3], real[:, 5], *(real[:, i] for i in range(6, 12))]
    return {
        "white noise of 0.3 mV": random.normal(0, 0.3, real.shape),
        "sines of 0.8 to 10 Hz": heights_mv * np.sin(2 * np.pi * rates_hz * t_s + phases),
        "ten times the amplitude": 10 * real,
        "five times the rate": np.concatenate([real[:, :, ::5]] * 5, axis=2),
        "with white noise of 0.3 mV": real + random.normal(0, 0.3, real.shape),
        "leads in random order": np.stack([x[random.permutation(12)] for x in real]),
        "chest leads in reverse order": np.concatenate([real[:, :6], real[:, :5:-1]], axis=1),
        "right and left arm exchanged": np.stack(hands, axis=1),
        "upside down": -real,
        "backwards": real[:, :, ::-1],
        "V1 and V2 exchanged": real[:, [*range(6), 7, 6, *range(8, 12)]],
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = ROOT / "models" / "ptbxl_superdiagnostic" / "model.onnx"
    parser.add_argument("--model", type=Path, default=default)
    options = parser.parse_args()
    source = Path(os.environ.get("EXCHANGEAI_PTBXL", BESIDE))
    session = Session(options.model.read_bytes(), threads=1)

    def embeddings(given: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        parts = [np.ascontiguousarray(given[i : i + 4], np.float32) for i in range(0, len(given), 4)]
        found = [session.run(x, ("embedding",))["embedding"] for x in parts]
        return np.concatenate(found).astype(np.float64)

    known = np.concatenate([windows(source, fold, FITTED) for fold in (1, 2)])
    others = windows(source, 9, VALIDATED + JUDGED)
    orders = novelty.lead_orders(np.arange(len(known)))
    exchanged = known[np.arange(len(known))[:, None], orders]
    detector = novelty.fit(embeddings(known), embeddings(exchanged), embeddings(others[:VALIDATED]))
    if detector is None:
        raise SystemExit("too few windows")
    scorer = Scorer(detector)

    def outside(given: npt.NDArray[np.floating]) -> float:
        return float(np.mean([scorer.judge(scorer.score(x)).outside for x in embeddings(given)]))

    judged = others[VALIDATED:]
    found = {"real, never seen": outside(judged)}
    found |= {name: outside(x) for name, x in altered(judged[:ALTERED], np.random.default_rng(0)).items()}
    print(
        json.dumps({"model": options.model.parent.name, "limit": detector.limit, "outside": found}, indent=1)
    )


if __name__ == "__main__":
    main()
