"""The recordings that a label table may name, found by id, file name or patient."""

from __future__ import annotations

import sys
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from exchangeai.facts import RecordingFact
from exchangeai.recording import Patient, Sex

KeyOf = Callable[[str], str]
_SHIFT = 44


@dataclass(frozen=True, kw_only=True)
class Keys:
    """How names become keys; the secret is bound in."""

    name: KeyOf
    """To 32 or more hexadecimal digits."""
    patient: KeyOf


class Known(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What joining needs of a recording: a fact without its leads, for there may be a million."""

    recording_id: str
    patient_key: str | None
    sex: Sex | None
    age_years: int | None
    device_model: str | None
    same_signal_as: str | None
    error_reason: str | None


class StoredRecording(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The fields of a stored `RecordingFact` that joining needs: the leads, most of it, are not decoded."""

    recording_id: str
    patient: Patient
    device_model: str | None = None
    name_keys: tuple[str, ...] = ()
    same_signal_as: str | None = None
    error_reason: str | None = None


class KnownRecordings:
    """Recordings by id, by the keys of their file names and by patient."""

    def __init__(self, keys: Keys, recordings: Iterable[RecordingFact] = ()) -> None:
        self._keys = keys
        self._by_id: dict[str, Known] = {}
        self._by_name = _Names()
        self._decode = msgspec.json.Decoder(StoredRecording).decode
        self._by_patient: dict[str, list[Known]] | None = None
        self._patient_keys: dict[str, str] = {}
        for x in recordings:
            self.add(x)

    def take(self, recording_id: str, stored: bytes | None) -> None:
        """Take in a fact as it is stored, or forget the recording when there is none any longer."""
        if stored is not None:
            self.add(self._decode(stored))
        else:
            self._by_id.pop(recording_id, None)
            self._by_patient = None

    def add(self, fact: RecordingFact | StoredRecording) -> None:
        """Take in a recording; one that comes again replaces what was known of it."""
        self._by_id.pop(fact.recording_id, None)
        known = Known(
            recording_id=fact.recording_id,
            patient_key=fact.patient.patient_key,
            sex=fact.patient.sex,
            age_years=fact.patient.age_years,
            device_model=sys.intern(fact.device_model) if fact.device_model else None,
            same_signal_as=fact.same_signal_as,
            error_reason=fact.error_reason,
        )
        self._by_id[known.recording_id] = known
        self._by_name.add(known, fact.name_keys)
        self._by_patient = None

    def __iter__(self) -> Iterator[Known]:
        return iter(self._by_id.values())

    def patient_key(self, patient: str) -> str:
        """The key of a patient as the table names them."""
        key = self._patient_keys.get(patient)
        if key is None:
            key = self._patient_keys[patient] = self._keys.patient(patient)
        return key

    def named(self, cell: str) -> Sequence[Known]:
        """All recordings that the cell may mean; a readable one hides unreadable ones of the same name."""
        if not cell:
            return ()
        known = self._by_id.get(cell.lower())
        if known is not None:
            return (known,)
        base = cell.replace("\\", "/").rpartition("/")[2]
        for name in (cell,) if base == cell else (cell, base):
            fits = [
                x for x in self._by_name.of(self._keys.name(name)) if self._by_id.get(x.recording_id) is x
            ]
            if fits:
                return _readable(fits)
        return ()

    def of_patient(self, patient: str) -> Sequence[Known]:
        """The recordings of a patient: the readable ones, else one that says why there is none."""
        if not patient:
            return ()
        if self._by_patient is None:  # few tables ask for it
            self._by_patient = defaultdict(list)
            for x in self:
                if x.patient_key:
                    self._by_patient[x.patient_key].append(x)
        return _readable(self._by_patient.get(self.patient_key(patient), ()))

    def signal_of(self, recording_id: str) -> str:
        """Id of the first recording that shows the same ECG; its own when there is none."""
        known = self._by_id[recording_id]
        if known.same_signal_as is None:
            return recording_id
        seen = {recording_id}
        while known.same_signal_as and known.same_signal_as not in seen:
            seen.add(known.same_signal_as)
            earlier = self._by_id.get(known.same_signal_as)
            if earlier is None:  # erased since: the id still stands for the signal
                return known.same_signal_as
            known = earlier
        return known.recording_id


def _readable(fits: Sequence[Known]) -> Sequence[Known]:
    return fits if len(fits) == 1 else [x for x in fits if x.error_reason is None] or fits[:1]


class _Names:
    """Recordings by the keys of their names, in sorted columns: 20 bytes a name, where a dict takes 200.

    128 bits of a key tell a million names apart.
    """

    def __init__(self) -> None:
        self._recordings: list[Known] = []
        self._columns = (array("Q"), array("Q"), array("I"))
        """First and second half of each key, and the place of its recording."""
        self._begins = array("I")
        """Where the keys of each first 20 bits begin: one look instead of twenty; empty when unsorted."""

    def add(self, recording: Known, keys: Iterable[str]) -> None:
        """Append a recording under its keys."""
        high, low, place = self._columns
        for key in dict.fromkeys(keys):
            first, second = _halves(key)
            high.append(first)
            low.append(second)
            place.append(len(self._recordings))
        self._recordings.append(recording)
        self._begins = array("I")

    def of(self, key: str) -> list[Known]:
        """All recordings with this key, in the order in which they came."""
        if not self._begins:
            self._sort()
        high, low, place = self._columns
        first, second = _halves(key)
        found: list[Known] = []
        begins = first >> _SHIFT
        for i in range(self._begins[begins], self._begins[begins + 1]):
            if high[i] == first and low[i] == second:
                found.append(self._recordings[place[i]])
        return found

    def _sort(self) -> None:
        high, low, place = (np.array(x) for x in self._columns)
        order = np.argsort(high, kind="stable")
        high, low, place = high[order], low[order], place[order]
        self._columns = (
            array("Q", high.tobytes()),
            array("Q", low.tobytes()),
            array("I", place.astype(np.uintc).tobytes()),
        )
        ends = np.cumsum(np.bincount(high >> np.uint64(_SHIFT), minlength=1 << (64 - _SHIFT)))
        self._begins = array("I", [0]) + array("I", ends.astype(np.uintc).tobytes())


def _halves(key: str) -> tuple[int, int]:
    """The first 128 bits of a key in hexadecimal."""
    return int(key[:16], 16), int(key[16:32], 16)
