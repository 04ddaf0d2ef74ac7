"""Label tables as spreadsheets write them."""

import io
import math
import zipfile

import pytest

from exchangeai.errors import InvalidArgument, TooLarge
from exchangeai.facts import Task
from exchangeai.tables import workbook as workbooks
from services.preprocess.columns import Columns, Dialect
from services.preprocess.table import LabelRow, parse_table

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
    first, second = parse_table(text.encode(), COLUMNS).rows
    assert (first.row, first.recording, first.labels, first.patient) == (1, "a.hea", ("MI", "CD"), "7")
    assert (second.row, second.labels) == (2, ("NORM",))


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(InvalidArgument, match=r"no column 'diagnosis'.*'file', 'Diagnose'"):
        parse_table(b"file;Diagnose;id\na;b;c\n", COLUMNS)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff\xfe\x00", "CSV UTF-8"),
        (b"%PDF-1.7\x01\x02\x03", "CSV UTF-8"),
        (b"PK\x03\x04\0\0\0\0", "save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "before 2007: save it as XLSX"),
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
    (row,) = parse_table(b"file,diagnosis,id\na\n", COLUMNS).rows
    assert (row.labels, row.patient) == ((), "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings_are_told_from_the_text(encoding: str) -> None:
    table = parse_table("file;diagnosis;id\nmüller.hea;Größe;7\n".encode(encoding), COLUMNS)
    assert (table.rows[0].recording, table.rows[0].labels) == ("müller.hea", ("Größe",))
    assert bool(table.notes) == (encoding in ("utf-16-le", "utf-16-be", "latin-1"))


def test_what_is_stated_is_not_guessed() -> None:
    data = "file~diagnosis~id\na,1.hea~MI/CD~7\n".encode("cp1250")
    dialect = Dialect(separator="~", encoding="cp1250", label_separator="/")
    (row,) = parse_table(data, COLUMNS, dialect=dialect).rows
    assert (row.recording, row.labels) == ("a,1.hea", ("MI", "CD"))
    with pytest.raises(InvalidArgument, match="no encoding 'klingon'"):
        parse_table(data, COLUMNS, dialect=Dialect(encoding="klingon"))
    with pytest.raises(InvalidArgument, match="one character"):
        parse_table(data, COLUMNS, dialect=Dialect(separator='"'))
    with pytest.raises(InvalidArgument, match="no text in ascii"):
        parse_table("file,diagnosis,id\nä,b,c".encode(), COLUMNS, dialect=Dialect(encoding="ascii"))


@pytest.mark.parametrize("separator", list(",;\t|^~"))
def test_any_usual_separator_is_told_from_the_header(separator: str) -> None:
    text = separator.join(("file", "diagnosis", "id")) + "\n" + separator.join(("a", "MI", "7"))
    (row,) = parse_table(text.encode(), COLUMNS).rows
    assert (row.recording, row.labels, row.patient) == ("a", ("MI",), "7")


def labels_of(cell: str, **dialect: object) -> tuple[str, ...]:
    quoted = cell.replace('"', '""')
    table = f'file\tdiagnosis\tid\na\t"{quoted}"\t7\n'
    return parse_table(table.encode(), COLUMNS, dialect=Dialect(**dialect)).rows[0].labels  # type: ignore[arg-type]


def test_lists_mappings_and_synonyms_in_a_label_cell() -> None:
    assert labels_of("{'NORM': 100.0, 'SR': 0.0}") == ("NORM", "SR")
    assert labels_of('["MI", "CD"]') == ("MI", "CD")
    assert labels_of("[]") == ()
    assert labels_of("AFib;vhf;SR", synonyms={"VHF": "AF", "afib": "AF"}) == ("AF", "SR")


def wide(text: str, task: Task = Task.MULTI_LABEL, **dialect: object) -> list[LabelRow]:
    columns = Columns(recording="file", label_columns=("MI", "CD"))
    return parse_table(text.encode(), columns, task, Dialect(**dialect)).rows  # type: ignore[arg-type]


def test_one_column_for_each_class() -> None:
    rows = wide("file;MI;CD\na;1;0\nb;yes;X\nc;;nein\nd;80,0;0\ne;perhaps;1\n", synonyms={"CD": "BBB"})
    assert [x.labels for x in rows] == [("MI",), ("MI", "BBB"), (), ("MI",), ("BBB",)]
    assert [x.problem for x in rows] == ["", "", "", "", "its 'MI' says neither yes nor no"]


def test_numeric_targets_with_either_decimal_sign() -> None:
    rows = wide("file;MI;CD\na;1,5;1.000,25\nb;NA;-2\nc;12,25;many\n", Task.REGRESSION)
    assert rows[0].values == (1.5, 1000.25)
    assert math.isnan(rows[1].values[0])
    assert rows[1].values[1] == -2
    assert rows[2].problem == "its 'CD' is no number"
    assert wide("file\tMI\tCD\na\t1.5\t1,000.25\n", Task.REGRESSION)[0].values == (1.5, 1000.25)
    assert wide("file;MI;CD\na;inf;1\n", Task.REGRESSION)[0].problem == "its 'MI' is no number"
    thousands = "file;MI;CD\na;1,234;1\n"
    with pytest.raises(InvalidArgument, match="'MI' a comma may be a decimal sign or divide thousands"):
        wide(thousands, Task.REGRESSION)
    assert wide(thousands, Task.REGRESSION, decimal=",")[0].values == (1.234, 1)
    assert wide(thousands, Task.REGRESSION, decimal=".")[0].values == (1234, 1)


def test_times_in_the_forms_that_mean_one_day() -> None:
    columns = Columns(recording="file", label="l", time="t")
    cells = ("2019-04-03", "2019-04-03T00:00:00Z", "3.4.2019", "2019/04/03", "2019", "2019-04", "soon", "")
    table = "file;l;t\n" + "".join(f"a;MI;{x}\n" for x in cells)
    rows = parse_table(table.encode(), columns).rows
    assert len({x.time_s for x in rows[:4]}) == 1
    assert rows[4].time_s != rows[5].time_s
    assert [x.problem for x in rows[6:]] == ["its 't' is no point in time"] * 2
    with pytest.raises(InvalidArgument, match="may be March or April"):
        parse_table(b"file;l;t\na;MI;03/04/2019\n", columns)


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        (Columns(label="l"), "which column names the recording"),
        (Columns(recording="r"), "which column holds the labels"),
        (Columns(recording="r", label="l", label_columns=("a",)), "either which column"),
        (Columns(recording="r", label="l", part="p", time="t"), "choose one"),
    ],
)
def test_a_mapping_that_cannot_be_meant(columns: Columns, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        parse_table(b"r,l,a,p,t\n1,2,3,4,5\n", columns)


def workbook(*sheets: tuple[str, list[list[object]]]) -> bytes:
    """A small XLSX with inline strings, numbers and empty cells."""
    out = io.BytesIO()
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    rel = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"

    def cell(x: object) -> str:
        if isinstance(x, str):
            return f'<c t="inlineStr"><is><t>{x}</t></is></c>'
        return "<c/>" if x is None else f"<c><v>{x}</v></c>"

    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        kinds = "".join(
            f'<Override PartName="/xl/worksheets/s{i}.xml" ContentType='
            '"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>'
            for i in range(len(sheets))
        )
        z.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Override PartName="/xl/workbook.xml" ContentType='
            f'"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>{kinds}</Types>',
        )
        z.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{package}/relationships"><Relationship Id="r" '
            f'Type="{rel}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        names = "".join(
            f'<sheet name="{n}" sheetId="{i + 1}" r:id="r{i}"/>' for i, (n, _) in enumerate(sheets)
        )
        z.writestr("xl/workbook.xml", f'<workbook {main} xmlns:r="{rel}"><sheets>{names}</sheets></workbook>')
        links = "".join(
            f'<Relationship Id="r{i}" Type="{rel}/worksheet" Target="worksheets/s{i}.xml"/>'
            for i in range(len(sheets))
        )
        z.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}/relationships">{links}</Relationships>',
        )
        for i, (_, rows) in enumerate(sheets):
            lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            z.writestr(
                f"xl/worksheets/s{i}.xml", f"<worksheet {main}><sheetData>{lines}</sheetData></worksheet>"
            )
    return out.getvalue()


def test_a_sheet_of_a_workbook() -> None:
    pytest.importorskip("python_calamine")
    data = workbook(
        ("About", [["nothing here"]]),
        ("Labels", [["file", "diagnosis", "id"], ["a.hea", "MI;CD", 7], [], ["b.hea", None, 8.5]]),
    )
    first, second = parse_table(data, COLUMNS).rows
    assert (first.recording, first.labels, first.patient) == ("a.hea", ("MI", "CD"), "7")
    assert (second.row, second.labels, second.patient) == (2, (), "8.5")
    with pytest.raises(InvalidArgument, match="no sheet 'X'; its sheets are 'About', 'Labels'"):
        parse_table(data, COLUMNS, dialect=Dialect(sheet="X"))
    with pytest.raises(InvalidArgument, match="no column 'file'"):
        parse_table(data, COLUMNS, dialect=Dialect(sheet="About"))


def test_workbooks_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    good = workbook(("Labels", [["file", "diagnosis", "id"], ["a", "b", "c"]]))
    broken = bytearray(good)
    broken[good.index(b"xl/worksheets/s0.xml") + 40] ^= 0xFF
    for data in (good[: len(good) // 2], bytes(broken)):
        with pytest.raises(InvalidArgument, match="workbook"):
            parse_table(data, COLUMNS)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as z:
        z.writestr("a.txt", "x")
    with pytest.raises(InvalidArgument, match="no XLSX workbook"):
        parse_table(other.getvalue(), COLUMNS)
    monkeypatch.setattr(workbooks, "MAX_UNPACKED_BYTES", 100)
    with pytest.raises(TooLarge, match="as CSV"):
        parse_table(good, COLUMNS)


@pytest.mark.slow
def test_a_million_rows_are_read() -> None:
    text = "file,diagnosis,id\n" + "".join(
        f"r{i},{'MI' if i % 3 else 'CD'},{i // 2}\n" for i in range(1_000_000)
    )
    rows = parse_table(text.encode(), COLUMNS).rows
    assert len(rows) == 1_000_000
    assert (rows[-1].row, rows[-1].recording, rows[-1].labels) == (1_000_000, "r999999", ("CD",))
