"""The page Models: which version answers under each name, and how a person changes that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update

from exchangeai.errors import ExchangeaiError, InvalidArgument
from services.ui.gateway import Gateway
from services.ui.gateway.models import ModelsDoor
from services.ui.pages.models_parts import CHANGES, panels
from services.ui.pages.notices import POLITE, loading_failed, problem

TICK_MS = 2000
USUAL_SHARE_PERCENT = 5
_CLOSE: Any = {"aria-label": "Close"}


def layout() -> Any:
    """The page without content; callbacks fill it."""
    return html.Div(
        id="page-models",
        className="stack models",
        children=[
            dcc.Interval(id="serving-tick", interval=TICK_MS),
            dcc.Store(id="serving-asked"),
            dcc.Store(id="serving-shown", data=""),
            html.Div(
                [
                    html.H1("Models"),
                    html.P(
                        "The champion answers for its name. A canary answers a share of the ECGs, a "
                        "shadow only compares.",
                        className="quiet",
                    ),
                ]
            ),
            html.Div(id="serving-done", className="done", **POLITE),
            html.Div(id="serving-list", className="stack"),
            _modal(),
        ],
    )


def _modal() -> Any:
    return dmc.Modal(
        id="serving-modal",
        centered=True,
        # Outside of the page's main part its head would be a second banner to screen readers.
        withinPortal=False,
        closeButtonProps=_CLOSE,
        children=[
            html.P(id="serving-meaning"),
            html.Div(
                dmc.NumberInput(
                    id="serving-share",
                    label="Share of the ECGs, %",
                    value=USUAL_SHARE_PERCENT,
                    min=1,
                    max=100,
                    step=1,
                ),
                id="serving-share-place",
            ),
            dmc.TextInput(
                id="serving-by", label="Your name", description="Kept with the change.", persistence=True
            ),
            html.Div(id="serving-problem"),
            html.Div(
                [
                    dmc.Button("Confirm", id="serving-confirm"),
                    dmc.Button("Leave as it is", id="serving-leave", variant="default"),
                ],
                className="buttons",
            ),
        ],
    )


def register(app: Any, gateway: Gateway) -> None:
    """The page's callbacks."""

    @app.callback(
        Output("serving-list", "children"),
        Output("serving-shown", "data"),
        Input("serving-tick", "n_intervals"),
        Input("serving-done", "children"),
        State("serving-shown", "data"),
    )
    def show(_n: Any, _done: Any, shown: str) -> Any:  # pyright: ignore[reportUnusedFunction]
        try:
            served = gateway.serving.served()
        except ExchangeaiError as e:
            return loading_failed(e), ""
        # Buttons are not made anew under somebody's finger.
        state = repr(served)
        return (no_update, no_update) if state == shown else (panels(served), state)

    @app.callback(
        Output("serving-modal", "opened"),
        Output("serving-modal", "title"),
        Output("serving-meaning", "children"),
        Output("serving-confirm", "children"),
        Output("serving-share-place", "style"),
        Output("serving-problem", "children"),
        Output("serving-asked", "data"),
        Input({"type": "serving-act", "what": ALL, "name": ALL, "version": ALL}, "n_clicks"),
        prevent_initial_call=True,
    )
    def ask(clicks: list[int | None]) -> Any:  # pyright: ignore[reportUnusedFunction]
        pressed = _pressed()
        if not any(clicks) or not isinstance(pressed, dict) or not ctx.triggered[0]["value"]:
            return (no_update,) * 7
        asked = cast("dict[str, Any]", pressed)
        change = CHANGES[asked["what"]]
        word = change.confirm or change.word
        share = {} if asked["what"] == "canary" else {"display": "none"}
        return True, change.question.format(**asked), change.meaning, word, share, None, asked

    @app.callback(
        Output("serving-modal", "opened", allow_duplicate=True),
        Output("serving-done", "children"),
        Output("serving-problem", "children", allow_duplicate=True),
        Input("serving-confirm", "n_clicks"),
        Input("serving-leave", "n_clicks"),
        State("serving-asked", "data"),
        State("serving-by", "value"),
        State("serving-share", "value"),
        running=[(Output("serving-confirm", "loading"), True, False)],
        prevent_initial_call=True,
    )
    def act(_yes: Any, _no: Any, asked: dict[str, Any], by: Any, share: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        if _pressed() != "serving-confirm" or not asked:
            return False, no_update, None
        # What is wrong is told where the person looks, and nothing that they typed is lost.
        try:
            asked["share"] = _percent(share) if asked["what"] == "canary" else 0.0
            _verbs(gateway.serving, asked, _name(by))[asked["what"]]()
        except ExchangeaiError as e:
            return no_update, no_update, problem(e)
        return False, html.P(CHANGES[asked["what"]].done.format(**asked)), None


def _pressed() -> Any:
    return cast("Any", ctx).triggered_id


def _name(by: Any) -> str:
    said = str(by or "").strip()[:128]
    if not said:
        raise InvalidArgument("say who you are in the field 'Your name'; it is kept with the change")
    return said


def _percent(share: Any) -> float:
    """The field gives a text for what is no number."""
    if isinstance(share, int | float) and 0 < share <= 100:
        return float(share)
    raise InvalidArgument("say in the field 'Share of the ECGs' how many percent, above 0 and at most 100")


def _verbs(door: ModelsDoor, asked: dict[str, Any], by: str) -> dict[str, Callable[[], None]]:
    name, version, share = str(asked["name"]), int(asked["version"]), float(asked["share"]) / 100
    return {
        "approve": lambda: door.approve(name, version, by),
        "promote": lambda: door.promote(name, version, by),
        "canary": lambda: door.set_canary(name, version, share, by),
        "end-canary": lambda: door.set_canary(name, 0, 0.0, by),
        "shadow": lambda: door.set_shadow(name, version, by),
        "end-shadow": lambda: door.set_shadow(name, 0, by),
        "back": lambda: door.roll_back(name, by),
        "deprecate": lambda: door.deprecate(name, version, by),
    }
