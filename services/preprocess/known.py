"""The recordings that a label table may name, found by id, file name or patient."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from exchangeai.facts import RecordingFact
from exchangeai.recording import Sex

KeyOf = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Keys:
    """How names become keys; the secret is bound in."""

    name: KeyOf
    patient: KeyOf


class Known(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What joining needs of a recording: a fact without its leads, for there may be a million."""

    recording_id: str
    patient_key: str | None
    sex: Sex | None
    age_years: int | None
    same_signal_as: str | None
    error_reason: str | None


class KnownRecordings:
    """Recordings by id, by the keys of their file names and by patient."""

    def __init__(self, keys: Keys, recordings: Iterable[RecordingFact] = ()) -> None:
        self._keys = keys
        self._by_id: dict[str, Known] = {}
        self._by_name: dict[bytes, tuple[Known, ...]] = {}
        self._by_patient: dict[str, list[Known]] | None = None
        self._patient_keys: dict[str, str] = {}
        for x in recordings:
            self.add(x)

    def add(self, fact: RecordingFact) -> None:
        """Take in a recording; a fact seen twice is replaced."""
        if fact.recording_id in self._by_id:
            return
        known = Known(
            recording_id=fact.recording_id,
            patient_key=fact.patient.patient_key,
            sex=fact.patient.sex,
            age_years=fact.patient.age_years,
            same_signal_as=fact.same_signal_as,
            error_reason=fact.error_reason,
        )
        self._by_id[known.recording_id] = known
        alone = (known,)
        for key in dict.fromkeys(fact.name_keys):
            short = _short(key)
            others = self._by_name.get(short)
            self._by_name[short] = alone if others is None else others + alone
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
        fits = self._by_name.get(_short(self._keys.name(cell)))
        if fits is None:
            base = cell.replace("\\", "/").rpartition("/")[2]
            fits = self._by_name.get(_short(self._keys.name(base)), ()) if base != cell else ()
        return _readable(fits)

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


def _short(key: str) -> bytes:
    """128 bits of a keyed hash tell a million names apart in a third of the memory of its hexadecimal."""
    return key[:32].encode()
