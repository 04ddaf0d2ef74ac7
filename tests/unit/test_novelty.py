"""What is unlike the training data is told by a model that was really trained on real ECGs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from demo.records import read_records
from exchangeai.errors import ContractViolation
from exchangeai.leads import STANDARD_12
from exchangeai.model_file import parse_model, read_manifest, write_manifest
from exchangeai.novelty import Detector, Scorer, pack
from exchangeai.recording import Lead, Recording
from exchangeai.signal import standardise
from exchangeai.testing.models import tiny_graph, tiny_manifest
from services.inference.sessions import Session
from services.trainer.evaluation import novelty
from tests.unit.signal.recordings import real_ecg

MODEL = Path(__file__).parents[2] / "models" / "ptbxl_superdiagnostic" / "model.onnx"
UNSEEN = 60
Windows = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Able:
    """A delivered model and its detector."""

    session: Session
    detector: Detector
    unseen: Windows
    """Real ECGs that it has not learned from, [n, 12, 5000]."""

    def embeddings(self, windows: Windows) -> npt.NDArray[np.float64]:
        parts = [
            self.session.run(np.ascontiguousarray(windows[i : i + 4], np.float32), ("embedding",))
            for i in range(0, len(windows), 4)
        ]
        return np.concatenate([x["embedding"] for x in parts]).astype(np.float64)

    def outside(self, windows: Windows) -> float:
        """Share that is called unlike the training data."""
        scorer = Scorer(self.detector)
        found = [scorer.judge(scorer.score(x)) for x in self.embeddings(windows)]
        return float(np.mean([x.outside for x in found]))


@pytest.fixture(scope="module")
def able() -> Able:
    held: list[Windows] = []
    for record in (x for x in read_records() if x.part == "test"):
        leads = tuple(
            Lead(name=n, samples=x, sampling_rate_hz=100.0)
            for n, x in zip(STANDARD_12, record.signal_mv, strict=True)
        )
        held.append(standardise(Recording(format="test", leads=leads)).millivolts()[0])
        if len(held) == UNSEEN:
            break
    detector = read_manifest(parse_model(MODEL.read_bytes())).novelty
    assert detector is not None
    return Able(Session(MODEL.read_bytes(), threads=1), detector, np.stack(held))


def test_real_ecgs_are_like_and_what_is_no_ecg_is_not(able: Able) -> None:
    random = np.random.default_rng(0)
    t_s = np.arange(5000) / 500
    noise = random.normal(0, 0.3, (12, 12, 5000)).astype(np.float32)
    heights_mv, rates_hz = random.uniform(0.2, 1.5, (12, 12, 1)), random.uniform(0.8, 10, (12, 1, 1))
    sines = heights_mv * np.sin(2 * np.pi * rates_hz * t_s + random.uniform(0, 6, (12, 12, 1)))
    sines = sines.astype(np.float32)
    assert able.outside(able.unseen) <= 0.05
    assert able.outside(np.stack([x.samples[:5000] for x in real_ecg()[0].leads])[None]) == 0
    assert able.outside(noise) >= 0.9
    assert able.outside(sines) >= 0.9
    assert able.outside(10 * able.unseen[:12]) >= 0.75  # a wrong unit


def test_leads_in_random_order_are_mostly_found_out(able: Able) -> None:
    random = np.random.default_rng(1)
    scorer = Scorer(able.detector)
    scrambled = np.stack([x[random.permutation(12)] for x in able.unseen])
    was, now = (np.array([scorer.score(x) for x in able.embeddings(w)]) for w in (able.unseen, scrambled))
    assert (now > was).mean() >= 0.95
    assert (now > able.detector.limit).mean() >= 0.55


def _drawn(count: int, size: int, seed: int) -> npt.NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return random.normal(0, 1, (count, size)) * np.linspace(2, 0.2, size)


def _fit(training: npt.NDArray[np.float64], validation: npt.NDArray[np.float64]) -> Detector | None:
    return novelty.fit(training, training + 1.0, validation)


def test_few_windows_make_no_detector_and_some_make_a_small_one() -> None:
    assert _fit(_drawn(19, 8, 0), _drawn(50, 8, 1)) is None
    assert _fit(_drawn(50, 8, 0), _drawn(19, 8, 1)) is None
    fitted = _fit(_drawn(50, 8, 0), _drawn(50, 8, 1))
    assert fitted is not None
    assert len(fitted.deviations) == 5
    assert fitted.limit == pytest.approx(fitted.scores[-1])


def test_of_their_like_one_in_two_hundred_is_called_unlike() -> None:
    fitted = _fit(_drawn(2000, 16, 0), _drawn(4000, 16, 1))
    assert fitted is not None
    scorer = Scorer(fitted)
    found = [scorer.judge(scorer.score(x)) for x in _drawn(4000, 16, 2)]
    assert 0.002 <= np.mean([x.outside for x in found]) <= 0.009
    assert np.mean([x.percentile for x in found]) == pytest.approx(50, abs=2)
    assert scorer.judge(float("nan")).outside


def test_features_that_never_moved_do_not_make_everything_unlike() -> None:
    def still(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.concatenate([x, np.zeros((len(x), 4))], axis=1)

    fitted = _fit(still(_drawn(400, 8, 0)), still(_drawn(400, 8, 1)))
    assert fitted is not None
    scorer = Scorer(fitted)
    assert np.mean([scorer.judge(scorer.score(x)).outside for x in still(_drawn(400, 8, 2))]) < 0.02


@pytest.mark.parametrize(
    "change",
    [
        {"centre": "AAAA"},
        {"centre": "not base64"},
        {"axes": pack(np.full((5, 8), np.nan))},
        {"deviations": (1.0, 1.0, 1.0, 1.0, 0.0)},
        {"deviations": ()},
        {"remainder_deviation": float("inf")},
        {"scores": (3.0, 2.0)},
        {"features": 10**9},
        {"contrast": "AAAA"},
        {"distance_scale": (1.0, 1.0)},
        {"contrast_scale": (0.0, float("nan"))},
        {"limit": float("nan")},
    ],
)
def test_a_detector_that_cannot_be_is_refused_with_its_model(change: dict[str, object]) -> None:
    fitted = _fit(_drawn(50, 8, 0), _drawn(50, 8, 1))
    assert fitted is not None
    graph = tiny_graph()
    manifest = replace(tiny_manifest(graph), novelty=fitted)
    assert read_manifest(parse_model(write_manifest(graph, manifest))).novelty == fitted
    bad = write_manifest(graph, replace(manifest, novelty=replace(fitted, **change)))  # type: ignore[arg-type]
    with pytest.raises(ContractViolation):
        read_manifest(parse_model(bad))
