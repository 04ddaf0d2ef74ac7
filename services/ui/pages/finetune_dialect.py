"""The folded part of a new data set: how its table is to be read, where the table itself does not tell."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import html

from services.ui.label_table import synonyms
from services.ui.views import Decimal, RepeatedRows, TableDialect

READING = ("separator", "encoding", "sheet")
"""Fields that change what the preview shows."""
FIELDS = (*READING, "decimal", "label-separator", "synonyms", "repeated", "unlabelled")
"""Ids of all fields, in the order in which `dialect` takes their values."""

_AUTO = "auto"
_TAB = "tab"


def _auto(*values: tuple[str, str]) -> list[dict[str, str]]:
    return [{"value": v, "label": label} for v, label in ((_AUTO, "Automatic"), *values)]


def panel() -> Any:
    """All fields; each begins as what the service finds out by itself."""
    return html.Details(
        id="dialect",
        children=[
            html.Summary("Advanced: how the table is read"),
            html.P("Needed only when the preview above, or the report, looks wrong.", className="quiet"),
            html.Div(
                className="pairs",
                children=[
                    dmc.Select(
                        id="separator",
                        label="Columns are divided by",
                        value=_AUTO,
                        allowDeselect=False,
                        data=_auto(
                            (",", "comma ,"), (";", "semicolon ;"), (_TAB, "tab"), ("|", "bar |"), ("^", "^")
                        ),
                        mt="xs",
                    ),
                    dmc.Select(
                        id="encoding",
                        label="Encoding",
                        value=_AUTO,
                        allowDeselect=False,
                        searchable=True,
                        data=_auto(
                            ("utf-8", "UTF-8"),
                            ("utf-16", "UTF-16"),
                            ("cp1252", "Windows-1252 (Western)"),
                            ("latin-1", "Latin-1"),
                            ("cp1250", "Windows-1250 (Central European)"),
                            ("cp1251", "Windows-1251 (Cyrillic)"),
                            ("mac-roman", "Mac Roman"),
                            ("gb18030", "GB 18030 (Chinese)"),
                            ("shift-jis", "Shift JIS (Japanese)"),
                        ),
                        mt="xs",
                    ),
                    dmc.Select(
                        id="decimal",
                        label="Decimal sign of numbers",
                        value=_AUTO,
                        allowDeselect=False,
                        data=_auto((".", "point 1.5"), (",", "comma 1,5")),
                        mt="xs",
                    ),
                    dmc.Select(
                        id="label-separator",
                        label="Labels in one cell are divided by",
                        value=";",
                        allowDeselect=False,
                        data=[
                            {"value": v, "label": f"{name} {v}"}
                            for v, name in (
                                (";", "semicolon"),
                                (",", "comma"),
                                ("|", "bar"),
                                ("/", "slash"),
                                ("+", "plus"),
                            )
                        ],
                        mt="xs",
                    ),
                ],
            ),
            dmc.TextInput(
                id="sheet",
                label="Sheet of a workbook",
                placeholder="the first that has the columns",
                value="",
                mt="xs",
            ),
            dmc.MultiSelect(
                id="label-columns",
                label="Instead of one label column: a column for each class",
                description="Each holds yes or no (1 or 0), or a number where labels are numbers.",
                data=[],
                value=[],
                searchable=True,
                clearable=True,
                mt="xs",
            ),
            dmc.Textarea(
                id="synonyms",
                label="Other names of labels",
                description="One a line: what the table says = the class that is meant. "
                "Capital or small letters do not matter.",
                placeholder="atrial fibrillation = AF\nVHF = AF",
                value="",
                autosize=True,
                minRows=2,
                maxRows=8,
                mt="xs",
            ),
            dmc.Select(
                id="repeated",
                label="Several rows of one recording that differ",
                value="leave_out",
                allowDeselect=False,
                data=[
                    {"value": "leave_out", "label": "contradict: leave the recording out"},
                    {"value": "union", "label": "one row a label: put labels together"},
                    {"value": "first", "label": "the first row holds"},
                ],
                mt="xs",
            ),
            dmc.Select(
                id="unlabelled",
                label="Rows with none of the classes",
                description="They can be kept where several labels may hold. Public benchmarks do either.",
                value="leave_out",
                allowDeselect=False,
                data=[
                    {"value": "leave_out", "label": "leave the recording out"},
                    {"value": "keep", "label": "keep it: none of the classes holds"},
                ],
                mt="xs",
            ),
        ],
    )


def reading(separator: Any, encoding: Any, sheet: Any) -> dict[str, str]:
    """What decides how text becomes cells; empty where the table tells it."""
    chosen = "\t" if separator == _TAB else _stated(separator)
    return {"separator": chosen, "encoding": _stated(encoding), "sheet": str(sheet or "").strip()}


def dialect(
    separator: Any,
    encoding: Any,
    sheet: Any,
    decimal: Any,
    label_separator: Any,
    said: Any,
    repeated: Any,
    unlabelled: Any,
) -> TableDialect:
    """What the fields say. Raises InvalidArgument where the names of labels make no sense."""
    signs: dict[str, Decimal] = {".": ".", ",": ","}
    rows: dict[str, RepeatedRows] = {"union": "union", "first": "first"}
    return TableDialect(
        **reading(separator, encoding, sheet),
        decimal=signs.get(str(decimal), ""),
        label_separator=str(label_separator or ""),
        synonyms=synonyms(str(said or "")),
        repeated_rows=rows.get(str(repeated), "leave_out"),
        keep_unlabelled=unlabelled == "keep",
    )


def _stated(value: Any) -> str:
    return "" if value in (None, _AUTO) else str(value)
