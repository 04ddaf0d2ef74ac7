"""Preprocessing: ours against other libraries on the same ECGs in one run, and against the memory's limit.

One core: figures are ECGs (12 leads, 10 s) per CPU second, the median of rounds that take turns. Every way
gets int16 in steps of 5 microvolts and gives float32 z-scores [12, 5000]. Filters: Butterworth 3, 0.5 to
40 Hz, and a notch at 50 Hz, forwards and backwards; ours, scipy's in one call and scipy's lead by lead are
the same filter, other libraries run their own. Index: kurtosis and three shares of spectral power a lead.
`make bench-preprocess` installs the peers apart from the product. Prints JSON.
"""

from __future__ import annotations

import importlib
import json
import statistics
import time
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal as _untyped
from scipy import stats as _untyped_stats

from benchmarks.about import about
from exchangeai.leads import STANDARD_12
from exchangeai.recording import Lead, Recording
from exchangeai.signal import assess, resample, standardise
from exchangeai.signal.filters import zero_phase
from exchangeai.signal.profiles import Profile

scipy_signal: Any = _untyped
scipy_stats: Any = _untyped_stats
Steps = npt.NDArray[np.int16]
Float32 = npt.NDArray[np.float32]
Way = Callable[[Steps, float], Any]
"""int16 [ecgs, 12, samples] and a rate to what comes out; the index comes with it or not."""

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "signal" / "ludb_record.npz"
ECGS = 64
MV_PER_STEP = np.float32(0.005)
RATES_HZ = (500, 250, 360, 1000)
ROUNDS = 5
BUDGET_S = 0.25
"""So long each way is repeated in each round."""
TOGETHER = 2
"""ECGs of which a z-score is made at a time, so that they stay in the cache."""
BATCH = 8
"""ECGs that ours is given at a time."""
PROFILE = Profile(name="0.5-40, 50", highpass_hz=0.5, lowpass_hz=40, corner_db=6, notch_hz=50)
PAD = PROFILE.pad_samples(500, 5000)
FREQUENCIES_HZ = (*range(41), 48, 49, 50, 51, 52)


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")  # peers warn at each call
    ecgs = {rate: _ecgs(rate) for rate in RATES_HZ}
    ways = {name: way for name, (_, make) in WAYS.items() if (way := _made(make)) is not None}
    print(
        json.dumps(
            {
                "benchmark": "preprocess",
                **about(),
                "command": "make bench-preprocess",
                "not_installed": sorted(set(WAYS) - set(ways)),
                "sgemm_gflops": round(_gflops(), 1),
                "ecgs_per_cpu_second": {
                    str(rate): _rates({x: ways[x] for x in ways if rate in WAYS[x][0]}, ecgs[rate], rate)
                    for rate in RATES_HZ
                },
                "one_ecg_ms": {str(rate): _one_ms(ecgs[rate], rate) for rate in RATES_HZ},
                "largest_difference_to_scipy_float64": {
                    str(rate): _differences(ecgs[rate], rate) for rate in RATES_HZ
                },
            },
            indent=2,
        )
    )


def _ecgs(rate_hz: int) -> Steps:
    """A real ECG, 64 times with its own noise and beginning; C-contiguous."""
    with np.load(GOLDEN) as stored:
        mv = np.cumsum(stored["first_differences"], axis=-1, dtype=np.int16) * MV_PER_STEP
    rng = np.random.default_rng(0)
    turned = np.stack([np.roll(mv, rng.integers(5000), axis=1) for _ in range(ECGS)])
    noisy = turned + rng.normal(0, 0.01, turned.shape)
    return np.rint(resample(noisy, 500, rate_hz) / MV_PER_STEP).astype(np.int16)


def _made(make: Callable[[], Way]) -> Way | None:
    try:
        return make()
    except ImportError:
        return None


def _rates(ways: dict[str, Way], x: Steps, rate_hz: int) -> dict[str, float]:
    """ECGs per CPU second; each way in turn, so that what else the machine does hits all."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(x[:TOGETHER], rate_hz)
    for _ in range(ROUNDS):
        for name, way in ways.items():
            done, begin = 0, time.process_time()
            while time.process_time() - begin < BUDGET_S:
                # A slow way would take a minute for all of them.
                some = x[:TOGETHER] if name in SLOW else x
                way(some, rate_hz)
                done += len(some)
            taken[name].append(done / (time.process_time() - begin))
    return {name: round(statistics.median(values), 1) for name, values in taken.items()}


def _gflops() -> float:
    """How fast this core multiplies float32 matrices now, of the shape that the filters have."""
    a, b = np.ones((60, 116), np.float32), np.ones((116, 100), np.float32)
    out, times = np.empty((60, 100), np.float32), list[float]()
    for _ in range(200):
        begin = time.perf_counter()
        for _ in range(20):
            np.matmul(a, b, out=out)
        times.append((time.perf_counter() - begin) / 20)
    return 2 * a.size * b.shape[1] / statistics.median(times) / 1e9


def _one_ms(x: Steps, rate_hz: int) -> dict[str, float]:
    """Wall milliseconds of a single ECG through the chain: median and 99th percentile."""
    times: list[float] = []
    for i in range(1000):
        begin = time.perf_counter()
        _chain(x[i % ECGS : i % ECGS + 1], rate_hz)
        times.append((time.perf_counter() - begin) * 1e3)
    return {"median": round(statistics.median(times), 3), "p99": round(float(np.percentile(times, 99)), 3)}


def _differences(x: Steps, rate_hz: int) -> dict[str, float]:
    """Ours in float32 against resampling, filters, z-score and index of scipy in float64, padded equally."""
    mv = x.astype(np.float64) * 0.005
    if rate_hz != 500:
        mv = np.asarray(_resampled_float64(mv, rate_hz))
    y = scipy_signal.sosfiltfilt(PROFILE.sos(500), mv, padlen=PAD)
    z = (y - y.mean(-1, keepdims=True)) / y.std(-1, keepdims=True)
    ours = _filtered_z(_millivolts(x, rate_hz))
    index = _index(_millivolts(x, rate_hz), ours) - _scipy_index(mv, z)
    return {"z": round(float(np.abs(ours - z).max()), 7), "index": round(float(np.abs(index).max()), 5)}


def _resampled_float64(mv: npt.NDArray[np.float64], rate_hz: int) -> npt.NDArray[np.float64]:
    """The filter of `exchangeai.signal.resample` by scipy; mirrored ends by whole periods of the ratio."""
    from exchangeai.signal.resample import KAISER_BETA, ZERO_CROSSINGS, ratio

    step = ratio(rate_hz, 500)
    up, down = step.numerator, step.denominator
    taps = scipy_signal.firwin(
        2 * ZERO_CROSSINGS * max(up, down) + 1, 1 / max(up, down), window=("kaiser", KAISER_BETA)
    )
    for phase in range(up):
        taps[phase::up] /= taps[phase::up].sum()
    margin = 4 * ZERO_CROSSINGS * down
    padded = np.pad(mv, ((0, 0), (0, 0), (margin, margin)), mode="reflect")
    longer = scipy_signal.resample_poly(padded, up, down, axis=-1, window=taps / up)
    return longer[..., margin * up // down :][..., :5000]


# Ours


def _millivolts(x: Steps, rate_hz: float) -> Float32:
    mv = x * MV_PER_STEP
    return mv if rate_hz == 500 else resample(mv, rate_hz, 500)


def _z(y: Float32) -> Float32:
    for i in range(0, len(y), TOGETHER):
        some = y[i : i + TOGETHER]
        some -= (some @ np.ones(y.shape[-1], np.float32))[..., None] / y.shape[-1]
        some *= 1 / np.sqrt(np.vecdot(some, some) / y.shape[-1])[..., None]
    return y


def _filtered_z(mv: Float32) -> Float32:
    return _z(zero_phase(mv, 500, PROFILE))


def _index(mv: Float32, z: Float32) -> Float32:
    """[..., 12, 4]: kurtosis of the z-scores; power of 5-15 Hz in 1-40, below 1 Hz in 0-40, mains in 1-52."""
    waves = mv.reshape(-1, 500) @ _waves()
    sums = (np.square(waves, out=waves) @ _bands()).reshape(*mv.shape[:-1], -1, 6).sum(axis=-2)
    square = z * z
    kurtosis = np.vecdot(square, square) / z.shape[-1] - 3
    return np.concatenate([kurtosis[..., None], sums[..., :3] / sums[..., 3:]], axis=-1)


@lru_cache(maxsize=1)
def _waves() -> Float32:
    """Sine and cosine at whole hertz under a Hann window over a second, [500, frequencies * 2]."""
    window = scipy_signal.get_window("hann", 500)
    phase = 2 * np.pi * np.outer(np.arange(500) / 500, FREQUENCIES_HZ)
    return np.stack([np.cos(phase), np.sin(phase)], axis=-1).reshape(500, -1).astype(np.float32) * np.float32(
        window
    ).reshape(500, 1)


@lru_cache(maxsize=1)
def _bands() -> Float32:
    f = np.array(FREQUENCIES_HZ)
    one_sided = np.where(f == 0, 1, 2)
    bands = [(f >= 5) & (f <= 15), f < 1, f >= 48, (f >= 1) & (f <= 40), f <= 40, f >= 1]
    return np.repeat(np.stack(bands, axis=1) * one_sided[:, None], 2, axis=0).astype(np.float32)


def _chain(x: Steps, rate_hz: float) -> list[tuple[Float32, Float32]]:
    out: list[tuple[Float32, Float32]] = []
    for first in range(0, len(x), BATCH):
        mv = _millivolts(x[first : first + BATCH], rate_hz)
        z = _filtered_z(mv)
        out.append((z, _index(mv, z)))
    return out


def _filters_only(x: Steps, rate_hz: float) -> list[Float32]:
    out: list[Float32] = []
    space = np.empty((BATCH, *x.shape[1:]), np.float32)
    for first in range(0, len(x), BATCH):
        part = x[first : first + BATCH]
        out.append(_filtered_z(np.multiply(part, MV_PER_STEP, out=space[: len(part)])))
    return out


def _product(x: Steps, rate_hz: float) -> None:
    """What the service runs on each recording: windows for storage, and the whole quality verdict."""
    for ecg in x:
        recording = Recording(
            format="benchmark",
            leads=tuple(
                Lead(name=name, samples=samples, sampling_rate_hz=float(rate_hz))
                for name, samples in zip(STANDARD_12, ecg * MV_PER_STEP, strict=True)
            ),
        )
        assess(recording, standardise(recording))


# scipy


def _scipy_filters(x: Steps, rate_hz: float) -> list[Float32]:
    return [_scipy_z(ecg * 0.005)[0] for ecg in x]


def _scipy_z(mv: npt.NDArray[np.float64]) -> tuple[Float32, npt.NDArray[np.float64]]:
    y = scipy_signal.sosfiltfilt(PROFILE.sos(500), mv, padlen=PAD)
    z = (y - y.mean(-1, keepdims=True)) / y.std(-1, keepdims=True)
    return z.astype(np.float32), z


def _scipy_index(mv: npt.NDArray[np.float64], z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    f, power = scipy_signal.welch(mv, 500, nperseg=500, noverlap=0, detrend=False)

    def between(low: float, high: float) -> npt.NDArray[np.float64]:
        return power[..., (f >= low) & (f <= high)].sum(-1)

    mains = between(48, 52)
    shares = (
        between(5, 15) / between(1, 40),
        between(0, 0.5) / between(0, 40),
        mains / (between(1, 40) + mains),
    )
    return np.stack([scipy_stats.kurtosis(z, axis=-1), *shares], axis=-1)


def _scipy_chain(x: Steps, rate_hz: float) -> list[Any]:
    out: list[Any] = []
    for ecg in x:
        mv = ecg * 0.005
        if rate_hz != 500:
            mv = scipy_signal.resample_poly(mv, *resampling(rate_hz), axis=-1)
        z32, z = _scipy_z(mv)
        out.append((z32, _scipy_index(mv, z)))
    return out


def _scipy_by_lead(x: Steps, rate_hz: float) -> list[Any]:
    out: list[Any] = []
    b, a = scipy_signal.butter(3, [0.5, 40], "bandpass", fs=500)
    notch = scipy_signal.iirnotch(50, 30, fs=500)
    for ecg in x:
        for lead in ecg * 0.005:
            mv = lead if rate_hz == 500 else scipy_signal.resample_poly(lead, *resampling(rate_hz))
            y = scipy_signal.filtfilt(*notch, scipy_signal.filtfilt(b, a, mv))
            z = (y - y.mean()) / y.std()
            out.append((z.astype(np.float32), _scipy_index(mv, z)))
    return out


def resampling(rate_hz: float) -> tuple[int, int]:
    """Up and down."""
    return {250: (2, 1), 360: (25, 18), 1000: (1, 2)}[int(rate_hz)]


# Other libraries, each with its own filter of that purpose


def _neurokit2() -> Way:
    nk: Any = importlib.import_module("neurokit2")

    def chain(x: Steps, rate_hz: float) -> list[Any]:
        out: list[Any] = []
        for ecg in x:
            for lead in ecg * 0.005:
                mv = lead
                if rate_hz != 500:
                    mv = nk.signal_resample(lead, sampling_rate=rate_hz, desired_sampling_rate=500)
                z = nk.standardize(nk.ecg_clean(mv, sampling_rate=500, method="neurokit", powerline=50))
                out.append((z.astype(np.float32), _scipy_index(mv, z)))
        return out

    return chain


def _torch_ecg() -> Way:
    peer: Any = importlib.import_module("torch_ecg._preprocessors")
    band = peer.BandPass(lowcut=0.5, highcut=40, filter_type="butter", filter_order=3)
    normalize, slower = peer.Normalize(method="z-score", per_channel=True), peer.Resample(fs=500)

    def chain(x: Steps, rate_hz: float) -> list[Any]:
        out: list[Any] = []
        for ecg in x:
            mv = ecg * 0.005
            if rate_hz != 500:
                mv, _ = slower(mv, int(rate_hz))
            y, _ = band(mv, 500)
            z, _ = normalize(y, 500)
            out.append((z.astype(np.float32), _scipy_index(mv, z)))
        return out

    return chain


def _biosppy() -> Way:
    tools: Any = importlib.import_module("biosppy.signals.tools")

    def chain(x: Steps, rate_hz: float) -> list[Any]:
        out: list[Any] = []
        for ecg in x:
            for lead in ecg * 0.005:
                mv = lead if rate_hz == 500 else scipy_signal.resample_poly(lead, *resampling(rate_hz))
                y, *_ = tools.filter_signal(
                    mv, ftype="FIR", band="bandpass", order=750, frequency=[0.67, 45], sampling_rate=500
                )
                z, *_ = tools.normalize(y)
                out.append((z.astype(np.float32), _scipy_index(mv, z)))
        return out

    return chain


def _wfdb() -> Way:
    processing: Any = importlib.import_module("wfdb.processing")

    def resampled(x: Steps, rate_hz: float) -> list[Any]:
        return [processing.resample_sig(lead * 0.005, rate_hz, 500)[0] for ecg in x for lead in ecg]

    return resampled


def _soxr() -> Way:
    soxr: Any = importlib.import_module("soxr")
    return lambda x, rate_hz: [soxr.resample((e * MV_PER_STEP).T, rate_hz, 500, quality="HQ") for e in x]


def _resample_poly(x: Steps, rate_hz: float) -> list[Any]:
    return [scipy_signal.resample_poly(e * MV_PER_STEP, *resampling(rate_hz), axis=-1) for e in x]


ONLY_500, ALL, OTHERS = (500,), RATES_HZ, RATES_HZ[1:]
WAYS: dict[str, tuple[tuple[int, ...], Callable[[], Way]]] = {
    "limit: int16 to float32": (ALL, lambda: lambda x, _: x * MV_PER_STEP),
    "filters + z-score: ours": (ONLY_500, lambda: _filters_only),
    "filters + z-score: scipy": (ONLY_500, lambda: _scipy_filters),
    "chain with index: ours": (ALL, lambda: _chain),
    "chain with index: scipy": (ALL, lambda: _scipy_chain),
    "chain with index: scipy by lead": (ALL, lambda: _scipy_by_lead),
    "chain with index: torch_ecg (no notch)": (ALL, _torch_ecg),
    "chain with index: neurokit2": (ALL, _neurokit2),
    "chain with index: biosppy (FIR)": (ALL, _biosppy),
    "windows and verdict of the service": (ALL, lambda: _product),
    "resampling: ours": (OTHERS, lambda: _millivolts),
    "resampling: soxr HQ": (OTHERS, _soxr),
    "resampling: scipy resample_poly": (OTHERS, lambda: _resample_poly),
    "resampling: wfdb": (OTHERS, _wfdb),
}
SLOW = {x for x in WAYS if "neurokit2" in x or "biosppy" in x or "by lead" in x or "wfdb" in x}


if __name__ == "__main__":
    main()
