"""The patient field of EDF and GDF 1.x: `code sex birth-date name` (EDF+ 2.1.3.3), or free text."""

from __future__ import annotations

import datetime
import re

from exchangeai.formats._people import age_between, date_of, identifier_of, sex_of
from exchangeai.recording import Identifiers, Patient

_PLACEHOLDER = re.compile(r"dd-mmm-yyyy", re.IGNORECASE)


def person_of(field: str, recorded: datetime.date | None, *, plus: bool) -> tuple[Patient, Identifiers]:
    """What is kept of the patient, and apart from it the identifier.

    Free text is an identifier as a whole where the format (`plus` false) has no subfields.
    """
    words = field.split()
    if len(words) < 3 or words[1].upper() not in ("M", "F", "X"):
        whole = None if plus else identifier_of(_PLACEHOLDER.sub("", field))
        return Patient(), Identifiers(patient_id=whole)
    born = date_of(words[2])
    code, name = identifier_of(words[0]), identifier_of(" ".join(words[3:4]))
    by_name = f"{name} {words[2]}" if name is not None and born is not None else None
    patient = Patient(sex=sex_of(words[1]), age_years=age_between(born, recorded))
    return patient, Identifiers(patient_id=code or by_name)
