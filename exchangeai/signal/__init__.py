"""From a recording to the tensor contract and its measurements: one pure step per file, numpy and scipy only.

    windows = standardise(recording)            # 500 Hz, twelve leads, 10 s windows
    quality = assess(recording, windows)        # how far it can be trusted
    measurements = measure(windows, quality)    # R peaks, heart rate

`PREPROCESSING_VERSION` changes whenever any of these gives other numbers for the same recording.
"""

from exchangeai.signal.measure import measure
from exchangeai.signal.quality import assess
from exchangeai.signal.resample import resample
from exchangeai.signal.standardise import standardise
from exchangeai.signal.windows import Windows

PREPROCESSING_VERSION = "3"

__all__ = [
    "PREPROCESSING_VERSION",
    "Windows",
    "assess",
    "measure",
    "resample",
    "standardise",
]
