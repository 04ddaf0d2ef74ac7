"""Intervals from the landmarks of a median beat, and the QT interval corrected for heart rate."""

from __future__ import annotations

from exchangeai.measurements import Intervals
from exchangeai.signal.delineation import Landmarks
from exchangeai.signal.median_beat import MedianBeat


def intervals(beat: MedianBeat, marks: Landmarks) -> Intervals:
    """All intervals in ms; None where a wave that bounds it is not there.

    QT corrected with the median RR interval: Bazett 1920 QT / RR^(1/2), Fridericia 1920 QT / RR^(1/3),
    Framingham (Sagie et al. 1992) QT + 154 (1 - RR), Hodges et al. 1983 QT + 1.75 (HR - 60); RR in s, HR
    per min.
    """

    def between_ms(begin: float | None, end: float | None) -> float | None:
        return None if begin is None or end is None else (end - begin) / beat.rate_hz * 1e3

    rr_s, qt_ms = beat.rr_s, between_ms(marks.qrs_on, marks.t_off)
    return Intervals(
        rr_ms=rr_s * 1e3,
        p_ms=between_ms(marks.p_on, marks.p_off),
        pr_ms=between_ms(marks.p_on, marks.qrs_on),
        qrs_ms=between_ms(marks.qrs_on, marks.qrs_off),
        qt_ms=qt_ms,
        qtc_bazett_ms=None if qt_ms is None else qt_ms / rr_s**0.5,
        qtc_fridericia_ms=None if qt_ms is None else qt_ms / rr_s ** (1 / 3),
        qtc_framingham_ms=None if qt_ms is None else qt_ms + 154 * (1 - rr_s),
        qtc_hodges_ms=None if qt_ms is None else qt_ms + 1.75 * (60 / rr_s - 60),
    )
