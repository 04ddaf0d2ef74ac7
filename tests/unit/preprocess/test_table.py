"""Label tables as spreadsheets write them."""

import pytest

from exchangeai.errors import InvalidArgument
from services.preprocess.table import Columns, parse_table

COLUMNS = Columns(recording="file", label="diagnosis", patient="id", part="")


@pytest.mark.parametrize(
    "text",
    [
        "file,diagnosis,id\na.hea,MI;CD,7\nb.hea,NORM,8\n",
        'id;file;diagnosis\r\n7;a.hea;"MI;CD"\r\n8;b.hea;NORM\r\n',
        "\ufefffile\tdiagnosis\tid\n\na.hea\t MI ; CD;MI\t7\n b.hea \tNORM\t8",
    ],
    ids=["comma", "semicolon", "tab with BOM"],
)
def test_separators_spaces_and_empty_lines(text: str) -> None:
    first, second = parse_table(text.encode(), COLUMNS)
    assert (first.row, first.recording, first.labels, first.patient) == (1, "a.hea", ("MI", "CD"), "7")
    assert (second.row, second.labels) == (2, ("NORM",))


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(InvalidArgument, match=r"no column 'diagnosis'.*'file', 'Diagnose'"):
        parse_table(b"file;Diagnose;id\na;b;c\n", COLUMNS)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("file,diagnosis,id\nä,b,c\n".encode("latin-1"), "not UTF-8"),
        ("file,diagnosis,id\na,b,c\n".encode("utf-16"), "CSV UTF-8"),
        (b"PK\x03\x04\0\0\0\0", "CSV UTF-8"),
        (b"file,diagnosis,id\n", "no rows"),
        (b"file,diagnosis,id,file\na,b,c,d\n", "2 columns named 'file'"),
        (b"\n", "no column"),
        (b'file,diagnosis,id\n"' + b"x" * 200_000 + b'",b,c\n', "line"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        parse_table(data, COLUMNS)


def test_short_lines_are_rows_without_label() -> None:
    (row,) = parse_table(b"file,diagnosis,id\na\n", COLUMNS)
    assert (row.labels, row.patient) == ((), "")
