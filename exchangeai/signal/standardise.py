"""Make the tensor contract of a recording: bridge gaps, resample, derive limb leads, cut windows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from exchangeai.errors import InvalidArgument
from exchangeai.leads import STANDARD_12, derive_limb_leads
from exchangeai.recording import Recording
from exchangeai.signal.gaps import bridge_gaps
from exchangeai.signal.resample import resample
from exchangeai.signal.windows import SAMPLING_RATE_HZ, Windows, cut


def standardise(recording: Recording) -> Windows:
    """Twelve leads at 500 Hz in windows of 10 s; nothing is filtered beyond what resampling needs.

    Of several leads with one name the first counts. III, aVR, aVL and aVF are derived only where they are
    absent; a lead without any value counts as absent. Raises InvalidArgument when none of the twelve
    standard leads is there or a rate is impossible.
    """
    signals: dict[str, npt.NDArray[np.float32]] = {}
    for name in STANDARD_12:
        lead = recording.ecg_lead(name)
        # What a reader derived is derived again here, at 500 Hz, so that the windows say so.
        if lead is not None and not lead.derived and np.isfinite(lead.samples).any():
            bridged = bridge_gaps(lead.samples)
            signals[name] = resample(bridged, lead.sampling_rate_hz, SAMPLING_RATE_HZ).astype(np.float32)
    if not signals:
        found = ", ".join(x.name[:16] for x in recording.leads[:12]) or "none"
        raise InvalidArgument(
            f"none of the twelve standard leads has a signal in millivolts (leads found: {found}); state "
            "`leads` and `unit` when uploading if the file does not"
        )
    derived = derive_limb_leads(signals)
    return cut({**signals, **derived}, derived=tuple(n for n in STANDARD_12 if n in derived))
