"""How pages say that something is wrong, absent or on its way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import html

from exchangeai.errors import ExchangeaiError, Unavailable

POLITE: dict[str, Any] = {"aria-live": "polite"}
"""Attributes of a place whose changes a screen reader tells."""

_WITHOUT = {
    "ingest": "no files can be read and no tracings shown",
    "preprocess": "no measurements and no data sets",
    "trainer": "no runs can be started or watched",
    "inference": "no models can be run",
}
_TITLES = {
    "Unavailable": "A service is not answering",
    "Overloaded": "The platform is busy",
    "NotFound": "Not found",
    "NotReady": "Not ready yet",
    "TooLarge": "Too large",
}


def banner(away: Mapping[str, Unavailable]) -> Any:
    """The one place that says which services are away, what that means and what happens next."""
    names = " and ".join(away)
    some = len(away) > 1
    lost = "; ".join(_WITHOUT[n] for n in away)
    quoted = ", ".join(e.request_id for e in away.values())
    return html.Div(
        id="away-" + " ".join(away),
        className="banner",
        role="alert",
        children=[
            html.Strong(f"The {names} service{'s do' if some else ' does'} not answer."),
            f" Until {'they are' if some else 'it is'} back: {lost}. "
            "Nothing stored is lost; this page tries again by itself. If it lasts, tell the operator: ",
            html.Span(f"request {quoted}", className="request"),
        ],
    )


def loading_failed(error: ExchangeaiError) -> Any:
    """In a panel that could not be filled: short when the banner tells the story."""
    if isinstance(error, Unavailable):
        return html.P("Waiting for the service …", className="quiet waiting")
    return problem(error)


def problem(error: ExchangeaiError) -> Any:
    """What went wrong, why, what next, and the request id to quote."""
    title = _TITLES.get(type(error).__name__, "This did not work")
    text: list[Any] = [str(error)]
    if error.request_id:
        text += [html.Br(), html.Span(f"Request {error.request_id}", className="quiet")]
    colour = "yellow" if isinstance(error, Unavailable) else "red"
    return dmc.Alert(title=title, children=text, color=colour, variant="light", className="problem")


def empty(title: str, text: str, *, heading: bool = False) -> Any:
    """A place that has nothing to show yet, and how to change that; `heading` where it heads its page."""
    named = html.H1 if heading else html.P
    return html.Div(
        [named(title, className="empty-title"), html.P(text, className="quiet")], className="empty"
    )


def number(value: float | None, digits: int = 2) -> str:
    """A number, or a dash where there is none: never a guess."""
    return "—" if value is None else f"{value:.{digits}f}"
