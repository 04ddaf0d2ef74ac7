"""EDF+ by edfio: 16-bit, one rate per lead, annotations kept; made for signals without gaps.

A sample differs by at most half a step (see `_quantise`) plus what eight characters for the range of a lead
leave out, less than a tenth of a step.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import edfio as _edfio
import numpy as np

from exchangeai.errors import InvalidArgument
from exchangeai.recording import MILLIVOLT, Filters, Lead, Recording
from exchangeai.writers._quantise import LARGEST, quantise
from exchangeai.writers._written import Written, leads_to_write, not_kept, plain_name

edfio: Any = _edfio
"""The library's types do not cover what is used here."""


def write(recording: Recording, name: str) -> Written:
    """`<name>.edf`. Raises InvalidArgument for missing samples, unlike lengths, rates EDF cannot say."""
    leads = leads_to_write(recording)
    if any(np.isnan(x.samples).any() for x in leads):
        raise InvalidArgument(
            "EDF cannot hold the missing samples of this recording; write WFDB, npz or Parquet instead"
        )
    lengths_s = {round(x.samples.size / x.sampling_rate_hz, 9) for x in leads}
    if len(lengths_s) > 1:
        raise InvalidArgument(
            "EDF needs leads of one length and these differ; write npz, CSV or Parquet instead"
        )
    signals = [_signal(x, recording.filters) for x in leads]
    marks = [
        edfio.EdfAnnotation(x.onset_s, x.duration_s, _text(x.label, x.detail)) for x in recording.annotations
    ]
    file = _file(signals, marks, recording, lengths_s.pop())
    out = io.BytesIO()
    file.write(out)
    return Written(
        files={f"{plain_name(name)}.edf": out.getvalue()}, notes=not_kept(recording, annotations=True)
    )


def _signal(lead: Lead, filters: Filters) -> Any:
    stored = quantise(lead.samples)
    # EDF has eight characters for a limit: microvolts use them better.
    unit, scale = ("uV", 1e3) if lead.unit == MILLIVOLT else (lead.unit[:8], 1.0)
    middle, span = stored.offset * scale, LARGEST * stored.step * scale
    return edfio.EdfSignal.from_digital(
        stored.values,
        lead.sampling_rate_hz,
        label=lead.name.encode("ascii", "replace").decode()[:16],
        physical_dimension=unit.encode("ascii", "replace").decode(),
        physical_range=(float(f"{middle - span:.7g}"[:8]), float(f"{middle + span:.7g}"[:8])),
        digital_range=(-LARGEST, LARGEST),
        prefiltering=_prefiltering(filters) if lead.unit == MILLIVOLT else "",
    )


def _file(signals: list[Any], marks: list[Any], recording: Recording, length_s: float) -> Any:
    patient, device = recording.patient, recording.device_model
    about = {
        "patient": edfio.Patient(sex=patient.sex or "X"),
        "recording": edfio.Recording(equipment_code=(device or "X").replace(" ", "_")),
        "annotations": marks,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # long records are allowed by the standard and warned of
        for record_s in (None, length_s):
            try:
                return edfio.Edf(signals, data_record_duration=record_s, **about)
            except ValueError as e:
                why = e
    raise InvalidArgument(
        "EDF cannot say this sampling rate exactly; write WFDB, npz or Parquet instead"
    ) from why


def _prefiltering(filters: Filters) -> str:
    known = (("HP", filters.highpass_hz), ("LP", filters.lowpass_hz), ("N", filters.notch_hz))
    return " ".join(f"{word}:{x:g}Hz" for word, x in known if x is not None)


def _text(label: str, detail: str) -> str:
    return f"{label} {detail}".strip()
