"""The page Models: which version answers under each name, and how a person changes that."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, cast

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import ALL, Input, Output, State, ctx, dcc, html, no_update

from exchangeai.errors import ExchangeaiError, InvalidArgument
from services.ui.gateway import Gateway
from services.ui.gateway.models import ModelsDoor
from services.ui.pages.notices import POLITE, empty, loading_failed, problem
from services.ui.views import ServingView, VersionView

TICK_MS = 2000
_WORDS = {
    "approve": "Approve version {version} of {name}? It may then predict; without a chosen champion the "
    "newest approved version answers.",
    "promote": "Promote version {version} of {name} to champion? It answers from now on; the champion "
    "until now stays as the way back.",
    "canary": "Let version {version} of {name} answer {share:g} % of the ECGs? The same ECG always meets "
    "the same version.",
    "end-canary": "End the canary of {name}? The champion answers all ECGs.",
    "shadow": "Run version {version} of {name} after each answer, only to compare? Nobody sees its answers.",
    "end-shadow": "End the shadow of {name}?",
    "back": "Go back to the champion of {name} before? The canary ends.",
    "deprecate": "Deprecate version {version} of {name}? It answers nobody until approved again.",
}
_COLOURS = {
    "champion": "blue",
    "canary": "orange",
    "shadow": "violet",
    "quarantined": "red",
    "deprecated": "gray",
}


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
                className="panel",
                children=[
                    html.H2("Models"),
                    html.P(
                        "The champion answers for its name. A canary answers a share of the ECGs, a "
                        "shadow only compares.",
                        className="quiet",
                    ),
                    dmc.Group(
                        [
                            dmc.TextInput(
                                id="serving-by",
                                label="Your name",
                                description="Kept with each change.",
                                persistence=True,
                            ),
                            dmc.NumberInput(
                                id="serving-share", label="Canary share, %", value=5, min=0, max=100, step=1
                            ),
                        ],
                        align="end",
                    ),
                    html.Div(id="serving-done", **POLITE),
                ],
            ),
            html.Div(id="serving-list", className="stack"),
            dmc.Modal(
                id="serving-modal",
                title="Please confirm",
                centered=True,
                children=[
                    html.P(id="serving-question"),
                    dmc.Group(
                        [
                            dmc.Button("Confirm", id="serving-confirm"),
                            dmc.Button("Leave as it is", id="serving-leave", variant="default"),
                        ]
                    ),
                ],
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
        return (no_update, no_update) if state == shown else (_panels(served), state)

    @app.callback(
        Output("serving-modal", "opened"),
        Output("serving-question", "children"),
        Output("serving-asked", "data"),
        Input({"type": "serving-act", "what": ALL, "name": ALL, "version": ALL}, "n_clicks"),
        State("serving-share", "value"),
        prevent_initial_call=True,
    )
    def ask(clicks: list[int | None], share: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        pressed = _pressed()
        if not any(clicks) or not isinstance(pressed, dict) or not ctx.triggered[0]["value"]:
            return no_update, no_update, no_update
        asked: dict[str, Any] = {**cast("dict[str, Any]", pressed), "share": float(share or 0)}
        return True, _WORDS[asked["what"]].format(**asked), asked

    @app.callback(
        Output("serving-modal", "opened", allow_duplicate=True),
        Output("serving-done", "children"),
        Input("serving-confirm", "n_clicks"),
        Input("serving-leave", "n_clicks"),
        State("serving-asked", "data"),
        State("serving-by", "value"),
        prevent_initial_call=True,
    )
    def act(_yes: Any, _no: Any, asked: dict[str, Any], by: str | None) -> Any:  # pyright: ignore[reportUnusedFunction]
        if _pressed() != "serving-confirm" or not asked:
            return False, no_update
        try:
            if not (by or "").strip():
                raise InvalidArgument("say who you are in the field 'Your name'; it is kept with the change")
            _verbs(gateway.serving, asked, (by or "").strip()[:128])[asked["what"]]()
        except ExchangeaiError as e:
            return False, problem(e)
        return False, html.P(
            f"Done: {asked['what'].replace('-', ' ')} of {asked['name']}.", className="quiet"
        )


def _pressed() -> Any:
    return cast("Any", ctx).triggered_id


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


def _panels(served: list[ServingView]) -> Any:
    if not served:
        return empty("No models yet", "Train one on the page Fine-tune, or import one from another site.")
    return [_panel(x) for x in served]


def _panel(served: ServingView) -> Any:
    head = "the newest approved version answers" if not served.champion else "the champion was chosen"
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(served.changed_at)) if served.changed_at else ""
    changed = f"; last change {when} by {served.changed_by or 'unknown'}" if when else ""
    row = ["Version", "Serves as", "State", "From", ""]
    return html.Div(
        className="panel",
        children=[
            html.H2(served.name),
            html.P(f"{head[0].upper()}{head[1:]}{changed}.", className="quiet"),
            dmc.Alert(served.problem, color="yellow", variant="light") if served.problem else None,
            _comparison(served),
            html.Table(
                className="table",
                children=[
                    html.Thead(html.Tr([html.Th(x) for x in row])),
                    html.Tbody([_row(served, x) for x in served.versions]),
                ],
            ),
            html.Div(
                [
                    _button("Roll back", "back", served.name, 0) if served.previous else None,
                    _button("End canary", "end-canary", served.name, 0) if served.canary else None,
                    _button("End shadow", "end-shadow", served.name, 0) if served.shadow else None,
                ],
                className="buttons",
            ),
        ],
    )


def _comparison(served: ServingView) -> Any:
    if not served.shadow:
        return None
    return html.P(
        f"Shadow, version {served.shadow}: {served.compared} answers compared, {served.differing} decided "
        f"otherwise, greatest difference of a probability {served.max_difference:.3f}.",
        className="quiet",
    )


def _row(served: ServingView, version: VersionView) -> Any:
    number = version.version
    roles = {
        "champion": served.answering == number,
        "canary": served.canary == number,
        "shadow": served.shadow == number,
    }
    badges = [
        _badge(f"canary {served.canary_share:.0%}" if x == "canary" else x, x)
        for x, on in roles.items()
        if on
    ]
    acts: list[Any] = []
    if version.state == "approved":
        acts += [] if served.champion == number else [_button("Promote", "promote", served.name, number)]
        if served.answering != number:
            acts += [
                _button("Canary", "canary", served.name, number),
                _button("Shadow", "shadow", served.name, number),
            ]
        if served.champion != number:
            acts.append(_button("Deprecate", "deprecate", served.name, number))
    else:
        acts.append(_button("Approve", "approve", served.name, number))
    origin = f"{version.origin}, signed by {version.signed_by}" if version.signed_by else version.origin
    state = version.state
    return html.Tr(
        [
            html.Td(html.Span(str(number), title=version.digest)),
            html.Td(dmc.Group(badges, gap="xs") if badges else "—"),
            html.Td(_badge(state, state) if state in _COLOURS else state),
            html.Td(origin),
            html.Td(dmc.Group(acts, gap="xs", justify="flex-end")),
        ]
    )


def _badge(text: str, kind: str) -> Any:
    return dmc.Badge(text, color=_COLOURS[kind], variant="light", tt="none")


def _button(text: str, what: str, name: str, version: int) -> Any:
    return dmc.Button(
        text,
        id={"type": "serving-act", "what": what, "name": name, "version": version},
        size="compact-sm",
        variant="default",
    )
