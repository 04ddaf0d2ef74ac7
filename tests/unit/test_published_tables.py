"""Label tables of public sets, from files laid out as their publishers lay them out."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from exchangeai.__main__ import main
from exchangeai.plugins import modules_in
from services.trainer import recipe

PTBXL = """ecg_id,patient_id,age,sex,scp_codes,strat_fold,filename_lr,filename_hr
1,15709.0,56.0,1,"{'NORM': 100.0, 'LVOLT': 0.0, 'SR': 0.0}",3,records100/00000/00001_lr,records500/00000/1_hr
39,18792.0,88.0,0,"{'IMI': 80.0, 'LAFB': 100.0}",10,records100/00000/00039_lr,records500/00000/00039_hr
"""
STATEMENTS = """,description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass
NORM,normal ECG,1.0,,,NORM,NORM
IMI,inferior myocardial infarction,1.0,,,MI,IMI
LAFB,left anterior fascicular block,1.0,,,CD,LAFB/LPFB
LVOLT,low QRS voltages,,1.0,,,
SR,sinus rhythm,,,1.0,,
"""


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as f:
        return list(csv.DictReader(f))


def test_ptbxl(tmp_path: Path) -> None:
    (tmp_path / "ptbxl_database.csv").write_text(PTBXL)
    (tmp_path / "scp_statements.csv").write_text(STATEMENTS)
    assert main(["labels", "ptbxl", str(tmp_path), "--out", str(tmp_path / "labels.csv")]) == 0
    first, second = table(tmp_path / "labels.csv")
    assert first == {
        "recording": "1_hr",
        "recording_100hz": "00001_lr",
        "patient_id": "15709",
        "strat_fold": "3",
        "statements": "LVOLT;NORM;SR",
        "superclasses": "NORM",
        "subclasses": "NORM",
    }
    assert second["superclasses"] == "CD;MI"
    assert second["subclasses"] == "IMI;LAFB/LPFB"


def test_cpsc2018(tmp_path: Path) -> None:
    (tmp_path / "g1").mkdir()
    (tmp_path / "g1" / "A0001.hea").write_text(
        "A0001 12 500 7500\n#Age: 74\n#Dx: 59118001,10370003,164889003\n"
    )
    assert main(["labels", "cpsc2018", str(tmp_path), "--out", str(tmp_path / "labels.csv")]) == 0
    assert table(tmp_path / "labels.csv") == [{"recording": "A0001", "labels": "RBBB;AF"}]


@pytest.mark.parametrize("name", list(modules_in("exchangeai.tables.published")))
def test_another_folder_is_refused_in_words(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["labels", name, str(tmp_path)]) == 1
    assert "name the" in capsys.readouterr().err


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_can_be_read(name: str) -> None:
    read = recipe.load(name)
    assert bool(read.labels.label) != bool(read.labels.label_columns)
    assert read.summary
    assert set(read.labels.part_values.values()) <= {"train", "validation", "test"}
