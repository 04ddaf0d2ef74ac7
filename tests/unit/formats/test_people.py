"""Age, sex, year and device: what is kept, and that unknown stays unknown."""

from __future__ import annotations

from datetime import date

import pytest

from exchangeai.formats import _people, read_records


@pytest.mark.parametrize(
    ("text", "sex"),
    [("F", "F"), ("female", "F"), (" M ", "M"), ("Male", "M"), ("X", None),
     ("O", None), ("", None), ("0", None), ("1", None)],
)  # fmt: skip
def test_sex(text: str, sex: str) -> None:
    assert _people.sex_of(text) == sex


@pytest.mark.parametrize(
    ("years", "kept"), [(None, None), (0, 0), (89.9, 89), (90, 90), (104, 90), (-9, None), (999, None)]
)
def test_age_is_pooled(years: float | None, kept: int | None) -> None:
    assert _people.pooled_age(years) == kept


def test_age_between_dates() -> None:
    assert _people.age_between(date(1980, 5, 2), date(2020, 5, 1)) == 39
    assert _people.age_between(date(1980, 5, 2), date(2020, 5, 2)) == 40
    assert _people.age_between(None, date(2020, 5, 2)) is None


@pytest.mark.parametrize("text", ["02-MAR-2002", "02/03/2002", "20020302", "2002-03-02", "02-Mar-2002"])
def test_dates(text: str) -> None:
    assert _people.date_of(text) == date(2002, 3, 2)


def test_dates_that_are_none() -> None:
    assert _people.date_of("31/02/2002") is None
    assert _people.date_of("X") is None
    assert _people.year_of(date(2704, 5, 5)) is None


@pytest.mark.parametrize("text", ["", "X", "X,X", "x x x", "Anonymous", "unknown", "0"])
def test_nobody(text: str) -> None:
    assert _people.identifier_of(text) is None


def test_device_model_without_serial() -> None:
    assert _people.model_of("MAC5000_SN:4711 0012345678") == "MAC5000"
    assert _people.model_of("ELI250") == "ELI250"
    assert _people.model_of("12345") is None


@pytest.mark.parametrize(
    ("comments", "sex", "age"),
    [
        ("# Age: 56\n# Sex: Female", "F", 56),
        ("#Age: 93\n#Sex: Male", "M", 90),
        ("#<age>: 64\n#<sex>: M", "M", 64),
        ("# <age>: 25  <sex>: M  <diagnoses>: (none)", "M", 25),
        ("# note\n# 69 M 1085 1629 x1", "M", 69),
        ("# Age: NaN\n# Sex: Unknown\n#Dx: 59118001", None, None),
        ("", None, None),
    ],
)
def test_wfdb_comments(comments: str, sex: str, age: int | None) -> None:
    header = f"r 1 500 2\nr.dat 16 1000/mV 16 0 0 0 0 I\n{comments}\n".encode()
    patient = read_records({"r.hea": header, "r.dat": b"\1\0\2\0"})[0].recording.patient
    assert (patient.sex, patient.age_years) == (sex, age)
