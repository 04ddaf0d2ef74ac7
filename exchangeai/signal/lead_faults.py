"""Faults of single leads, told from what a survey of the recording has kept, and a wrong unit of all."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exchangeai.signal.acceptability import WHOLE_SECOND
from exchangeai.signal.survey import Survey

UNUSABLE = frozenset({"missing", "flat", "saturated", "lead_off"})
"""Flags of a lead from which nothing can be read."""

FLAT_RANGE_MV = 0.02
"""Less than 20 µV within a second is noise: even a lead at right angles to the heart's axis shows a QRS of
more, and "low voltage" begins at 500 µV."""
FLAT_SHARE = 0.2
"""A lead that stands still for a fifth of the time is unusable."""
SATURATED_SHARE = 0.01
"""A beat's width in 10 s."""
LOST_SHARE = 0.5
LOST_SPAN_MV = 10.0
LOST_STEP_MV = 2.0
"""A second is lost when the lead stands still, moves by more than any QRS, or drifts by more than a QRS from
the second before; half of the seconds lost is an electrode that has no contact."""
NOISY_SHARE = 0.3
"""Noise in three seconds of ten is worth a flag."""
WANDER_MV = 0.3
"""3 mm on paper: the ST segment cannot be read across beats."""
MAINS_MV = 0.05
"""A line of 1 mm on paper."""
MUSCLE_MV = 0.2
"""Up and down within 20 ms by twice as much as the smallest P waves rise."""
MAX_SPAN_MV = 30.0
"""No heart produces 30 mV at the skin: the unit is wrong (µV taken for mV) or it is no ECG."""
MIN_SPAN_MV = 0.02
VISIBLE = 0.5
"""All leads below 20 µV and yet beats in them: mV taken for µV."""


def faults(seen: Survey, wrong_unit: bool) -> list[tuple[str, ...]]:
    """Flags of each of the twelve leads, in tensor order, of those that are present.

    A lead that is flat, saturated or off has no other flag: its noise says nothing. In a wrong unit (see
    `unit_problem`) only what does not depend on it is told.
    """
    seconds = seen.seconds
    # What is absent was looked at as a line or as the last value: neither flat nor saturated.
    flat = seen.flat - seen.absent >= FLAT_SHARE
    saturated = seen.saturated - seen.absent >= SATURATED_SHARE
    if wrong_unit:
        return [_first_of(flat=bool(f), saturated=bool(s)) for f, s in zip(flat, saturated, strict=True)]
    flat |= typical_span_mv(seen) < FLAT_RANGE_MV
    lost = (
        (seconds.constant > WHOLE_SECOND)
        | (seconds.span_mv > LOST_SPAN_MV)
        | (seconds.step_mv > LOST_STEP_MV)
    )
    off = _share(lost) - seen.absent >= LOST_SHARE
    wander = _share(seconds.step_mv > WANDER_MV) >= NOISY_SHARE
    mains = seen.mains_mv > MAINS_MV
    # A sine's way within a block of 20 ms is 4 amplitudes; what is left over is no mains.
    rough = seconds.roughness_mv - 4 * seen.mains_mv[:, None]
    muscle = _share(rough > MUSCLE_MV) >= NOISY_SHARE
    if not np.logical_or.reduce((flat, saturated, off, wander, mains, muscle), axis=None):
        return [()] * len(flat)
    flags: list[tuple[str, ...]] = []
    for i in range(len(flat)):
        worst = _first_of(flat=bool(flat[i]), saturated=bool(saturated[i]), lead_off=bool(off[i]))
        noise = {"baseline_wander": wander[i], "mains_noise": mains[i], "muscle_noise": muscle[i]}
        flags.append(worst or tuple(name for name, there in noise.items() if there))
    return flags


def unit_problem(seen: Survey) -> str | None:
    """What is wrong with the amplitude of the recording as a whole, in words for people; None when nothing
    is."""
    typical_mv = _middle(typical_span_mv(seen)[seen.present])
    if typical_mv > MAX_SPAN_MV:
        return f"its amplitude is {typical_mv:.0f} mV, which no heart produces: check the unit"
    if 0 < typical_mv < MIN_SPAN_MV and _middle(seen.seconds.agreement[seen.present].ravel()) > VISIBLE:
        return f"its amplitude is {typical_mv * 1000:.2g} µV, too little for an ECG: check the unit"
    return None


def _share(seconds: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    return np.add.reduce(seconds, axis=1) / seconds.shape[1]


def _middle(values: npt.NDArray[np.float32]) -> float:
    """The median; numpy's own takes as long as all else here."""
    ordered = np.sort(values)
    return (float(ordered[(len(ordered) - 1) // 2]) + float(ordered[len(ordered) // 2])) / 2


def typical_span_mv(seen: Survey) -> npt.NDArray[np.float32]:
    """[12]: the span that a fifth of the seconds exceed: one with a QRS even at 30 beats a minute, and no
    short artefact."""
    span = seen.seconds.span_mv
    at = int(0.8 * (span.shape[1] - 1))
    return np.sort(span, axis=1)[:, at]


def _first_of(**conditions: bool) -> tuple[str, ...]:
    return next(((name,) for name, there in conditions.items() if there), ())
