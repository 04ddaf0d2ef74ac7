"""Label tables as the browser hands them over: separators, columns and what they seem to mean."""

from __future__ import annotations

import pytest

from exchangeai.errors import InvalidArgument
from services.ui.label_table import part_values, read_head, synonyms


@pytest.mark.parametrize("divider", [",", ";", "\t"])
def test_columns_and_first_rows_whatever_divides_them(divider):
    lines = [["file", "labels", "patient"], *[[f"r{i}", "NORM", f"p{i}"] for i in range(9)]]
    head = read_head("\r\n".join(divider.join(x) for x in lines).encode("utf-8-sig"))
    assert head.columns == ("file", "labels", "patient")
    assert head.rows == tuple((f"r{i}", "NORM", f"p{i}") for i in range(4))


def test_guesses_are_those_a_person_would_make_and_none_when_unsure():
    head = read_head(b"File_Name,Superclass,patient_id,fold_name,remark\na,b,c,train,e\n")
    guesses = [head.guess(m) for m in ("recording", "label", "patient", "part")]
    assert guesses == ["File_Name", "Superclass", "patient_id", "fold_name"]
    assert read_head(b"x,y\n1,2\n").guess("recording") is None


def test_quoted_cells_keep_their_divider():
    assert read_head(b'file,label\na,"MI, old"\n').rows == (("a", "MI, old"),)


def test_a_table_cut_within_a_letter_is_still_read():
    row = "é,NORM\n"
    table = b"file,label\n" + (row * 20_000).encode()
    assert len(table) > 1 << 16
    assert read_head(table).columns == ("file", "label")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (b"", "header line"),
        (b"only one column\nx\n", "two columns"),
        (b"%PDF-1.7\x01", "CSV UTF-8"),
        (b"PK\x03\x04,\x00\x00", "save the sheet as CSV"),
    ],
)
def test_what_is_no_table_is_refused_with_the_next_step(table, words):
    with pytest.raises(InvalidArgument, match=words):
        read_head(table)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_columns_are_read_in_other_encodings_too(encoding):
    table = ("Größe;Befund\n" + "1;NORM\n" * 20_000).encode(encoding)
    head = read_head(table)
    assert head.columns == ("Größe", "Befund")
    assert head.rows[0] == ("1", "NORM")


def test_what_part_values_mean():
    meant = part_values("1-3 = train, 9=validation,ten = test")
    assert meant == {"1": "train", "2": "train", "3": "train", "9": "validation", "ten": "test"}
    assert part_values(" ") == {}
    for text in ("9", "9 = exam", "= test"):
        with pytest.raises(InvalidArgument, match="9 = validation"):
            part_values(text)


def test_names_of_labels_are_given_line_by_line():
    assert synonyms(" VHF = AF\n\natrial fibrillation=AF ") == {"vhf": "AF", "atrial fibrillation": "AF"}
    assert synonyms("") == {}


@pytest.mark.parametrize("text", ["VHF", "= AF", "VHF =", "VHF = AF\nvhf = NORM"])
def test_a_name_of_no_class_or_of_two_is_refused(text):
    with pytest.raises(InvalidArgument):
        synonyms(text)


def test_what_is_stated_of_a_table_decides_its_preview():
    table = "file^befund\nr1^Schenkelblöcke, links; rechts\n".encode("mac-roman")
    head = read_head(table, separator="^", encoding="mac-roman")
    assert head.columns == ("file", "befund")
    assert head.rows[0][1] == "Schenkelblöcke, links; rechts"
    with pytest.raises(InvalidArgument, match="it has one"):
        read_head(table, separator="|")
