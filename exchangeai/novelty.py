"""How unlike the training data an ECG is, by its embedding: two measures, the greater of which counts.

The first is the Mahalanobis distance (Lee et al. 2018). Kamoi and Kobayashi 2020 show that one centre without
classes does as well, because what tells novelty is how far features leave the few directions in which those
of training vary. The covariance is that of probabilistic principal components (Tipping and Bishop 1999): k
axes v with deviations s, and one deviation r for all that the axes leave:

    d(x)^2 = sum_i ((x - m) v_i / s_i)^2 + (|x - m|^2 - sum_i ((x - m) v_i)^2) / r^2

The second is Fisher's linear discriminant w between training windows and the same with their leads in random
order, c(x) = (x - m) w: a network that has learned to do with few leads hides their exchange from d (outlier
exposure, Hendrycks et al. 2019). Both are put on one scale by validation, 0 at the median and 1 at the 99 %
quantile:

    score = max((d - median d) / (q99 d - median d), (c - median c) / (q99 c - median c))

x is the embedding with the square root taken of each feature's magnitude, the sign kept, which makes skewed
features more like a normal distribution (Tukey's ladder of powers, as in Yang et al. 2021).

Shapes: E features, k axes.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from exchangeai.errors import ContractViolation
from exchangeai.findings import OutOfDistribution

MAX_AXES = 64
MAX_FEATURES = 4096
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Detector:
    """Fitted at training, carried by the manifest; at most 64 axes: 87 kB for 256 features."""

    features: int
    centre: str
    """base64 of little-endian float32 [E]."""
    axes: str
    """base64 of little-endian float32 [k, E]: orthonormal rows."""
    deviations: tuple[float, ...]
    """Of each axis, [k]."""
    remainder_deviation: float
    """Of each direction that the axes leave; 0 where they leave none."""
    contrast: str = ""
    """base64 of little-endian float32 [E]: w; empty for none."""
    distance_scale: tuple[float, float] = (0.0, 1.0)
    """Median and 99 % quantile of d on validation."""
    contrast_scale: tuple[float, float] = (0.0, 1.0)
    """The same of c."""
    percentiles: tuple[float, ...]
    """Ascending, 0 to 100."""
    scores: tuple[float, ...]
    """Of validation windows at the percentiles."""
    limit: float
    """From which on a score counts as outside."""
    limit_percentile: float
    fitted_windows: int
    """Training windows that centre and axes come from."""
    validated_windows: int
    """Validation windows that percentiles and limit come from; none of them was fitted on."""


class Scorer:
    """A detector, ready to use."""

    def __init__(self, detector: Detector) -> None:
        """Raises ContractViolation when its arrays do not fit together."""
        self._detector = detector
        size = detector.features
        self._deviations = np.asarray(detector.deviations, np.float64)
        count = len(self._deviations)
        if not (0 < size <= MAX_FEATURES and 0 < count <= MAX_AXES):
            raise ContractViolation(
                f"the model's novelty detector has {count} axes of {size} features; allowed are "
                f"{MAX_AXES} and {MAX_FEATURES}"
            )
        self._centre = unpack(detector.centre, (size,))
        self._axes = unpack(detector.axes, (count, size))
        self._contrast = unpack(detector.contrast, (size,)) if detector.contrast else None
        self._percentiles = np.asarray(detector.percentiles, np.float64)
        self._scores = np.asarray(detector.scores, np.float64)
        numbers = np.concatenate(
            [
                self._deviations,
                self._scores,
                detector.distance_scale,
                detector.contrast_scale,
                [detector.remainder_deviation, detector.limit],
            ]
        )
        if (
            not np.isfinite(numbers).all()
            or (self._deviations <= 0).any()
            or detector.remainder_deviation < 0
            or detector.distance_scale[0] >= detector.distance_scale[1]
            or detector.contrast_scale[0] >= detector.contrast_scale[1]
            or not 0 < len(self._scores) == len(self._percentiles)
            or (np.diff(self._scores) < 0).any()
            or (np.diff(self._percentiles) <= 0).any()
        ):
            raise ContractViolation("the model's novelty detector has deviations or scores that cannot be")

    def score(self, embedding_E: npt.NDArray[np.floating]) -> float:
        """The score of one embedding; of one at a time, so that a batch changes no bit.

        Raises ContractViolation for an embedding of another size.
        """
        distance, contrast = self.measures(embedding_E)
        low, high = self._detector.distance_scale
        score = (distance - low) / (high - low)
        if self._contrast is None:
            return score
        low, high = self._detector.contrast_scale
        return max(score, (contrast - low) / (high - low))

    def measures(self, embedding_E: npt.NDArray[np.floating]) -> tuple[float, float]:
        """(d, c) as they are; c is 0 where there is no contrast."""
        if embedding_E.shape != self._centre.shape:
            raise ContractViolation(
                f"the embedding has shape {list(embedding_E.shape)}, the detector {list(self._centre.shape)}"
            )
        off = rooted(embedding_E) - self._centre
        along = self._axes @ off
        total = float(np.sum((along / self._deviations) ** 2))
        if self._detector.remainder_deviation > 0:
            left = max(0.0, float(off @ off - along @ along))
            total += left / self._detector.remainder_deviation**2
        return float(np.sqrt(total)), 0.0 if self._contrast is None else float(off @ self._contrast)

    def judge(self, score: float) -> OutOfDistribution:
        """Where a score lies among those of validation; between percentiles by a straight line."""
        detector = self._detector
        return OutOfDistribution(
            ood_score=score,
            percentile=float(np.interp(score, self._scores, self._percentiles)),
            outside=not score <= detector.limit,  # also of what is no number
            limit=detector.limit,
            limit_percentile=detector.limit_percentile,
        )


@lru_cache(maxsize=64)
def scorer(detector: Detector) -> Scorer:
    """The scorer of a detector, made once. Raises ContractViolation."""
    return Scorer(detector)


def rooted(embedding: npt.NDArray[np.floating]) -> Floats:
    """The root of each magnitude, with its sign; float64 of the same shape."""
    wide = embedding.astype(np.float64)
    return np.sign(wide) * np.sqrt(np.abs(wide))


def pack(values: npt.NDArray[np.floating]) -> str:
    """base64 of little-endian float32."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode()


def unpack(packed: str, shape: tuple[int, ...]) -> Floats:
    """float64 of what `pack` wrote. Raises ContractViolation when it is not finite numbers of this shape."""
    try:
        raw = base64.b64decode(packed, validate=True)
    except ValueError as e:
        raise ContractViolation("the model's novelty detector is not base64") from e
    if len(raw) != 4 * int(np.prod(shape)):
        raise ContractViolation(f"the model's novelty detector is not float32 {list(shape)}")
    values = np.frombuffer(raw, "<f4").reshape(shape).astype(np.float64)
    if not np.isfinite(values).all():
        raise ContractViolation("the model's novelty detector holds numbers that are not finite")
    return values
