"""The page Compare: train several architectures alike, rank them, see what each costs."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any, cast

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import Input, Output, State, dcc, html, no_update

from exchangeai.errors import ExchangeaiError, InvalidArgument
from exchangeai.facts import DatasetState
from services.ui.figures import theme
from services.ui.gateway import Gateway
from services.ui.pages import compare_parts as parts
from services.ui.pages.notices import POLITE, empty, loading_failed, problem
from services.ui.pages.training_fields import USUAL, architecture_words, estimate_words, preset_cards, waiting

_SHARES = ("0.01", "0.1", "0.25", "0.5")
MOST_ESTIMATED = 4
"""Architectures of which the time is estimated at once: each takes seconds to measure."""


def layout() -> Any:
    """The page without content; callbacks fill it."""
    return html.Div(
        id="page-compare",
        className="tune",
        children=[
            dcc.Interval(id="compare-tick", interval=1000),
            dcc.Interval(id="compare-offer-tick", interval=2000),
            html.Div(_start_panel(), className="stack"),
            html.Div(
                className="stack",
                children=[
                    html.Div(
                        className="panel",
                        children=[
                            html.Div(id="compare-head"),
                            html.Div(
                                dmc.Button(
                                    "Cancel",
                                    id="compare-cancel",
                                    variant="default",
                                    style={"display": "none"},
                                ),
                                className="buttons",
                            ),
                            html.Div(id="compare-steered"),
                            html.Div(id="compare-board"),
                            html.Div(id="compare-runs"),
                            dcc.Store(id="compare-shown", data=""),
                        ],
                    ),
                    html.Div(
                        [html.H2("Comparisons"), html.Div(id="compare-list", className="scroll")],
                        className="panel",
                    ),
                ],
            ),
        ],
    )


def _start_panel() -> Any:
    return html.Div(
        className="panel",
        children=[
            html.H2("1  Data set"),
            dmc.Select(
                id="compare-dataset",
                label="Use a data set",
                placeholder="None yet: make one on the page Fine-tune",
                data=[],
                allowDeselect=False,
            ),
            html.H2("2  Architectures", style={"marginTop": "18px"}),
            dmc.CheckboxGroup(
                id="compare-architectures", label="Train these", value=[], children=waiting("architectures")
            ),
            html.H2("3  How", style={"marginTop": "18px"}),
            dmc.TextInput(
                id="compare-seeds",
                label="Seeds",
                description="Each architecture is trained once with each.",
                value="0, 1, 2",
            ),
            dmc.MultiSelect(
                id="compare-shares",
                label="Also with a share of the labels",
                description="Shows how many labels are worth having.",
                data=[{"value": x, "label": f"{100 * float(x):g} %"} for x in _SHARES],
                value=[],
                placeholder="all labels only",
                clearable=True,
                mt="xs",
            ),
            dmc.RadioGroup(
                id="compare-preset", label="Preset", value=USUAL, children=waiting("presets"), mt="sm"
            ),
            dmc.Switch(id="compare-find-rate", label="Search for each one's learning rate first", mt="sm"),
            dcc.Loading(
                html.Div(id="compare-estimate", className="estimate", **POLITE),
                type="dot",
                color=theme.LOADING,
                delay_show=300,
            ),
            html.H2("4  Start", style={"marginTop": "18px"}),
            dmc.TextInput(id="compare-name", label="Name of the comparison", value="my-comparison"),
            dmc.Button("Start comparison", id="compare-start", fullWidth=True, mt="sm"),
            html.Div(id="compare-outcome"),
        ],
    )


def comparison_id_of(pathname: str | None) -> str:
    """The comparison in the address, or an empty string."""
    return (pathname or "").removeprefix("/compare").strip("/")[:64]


def register(app: Any, gateway: Gateway) -> None:
    """Connect the page to the services."""
    _offer(app, gateway)
    _start(app, gateway)
    _watch(app, gateway)


def _offer(app: Any, gateway: Gateway) -> None:
    @app.callback(
        Output("compare-dataset", "data"),
        Output("compare-dataset", "value"),
        Output("compare-architectures", "children"),
        Output("compare-architectures", "value"),
        Output("compare-offer-tick", "disabled"),
        Input("url", "pathname"),
        Input("compare-offer-tick", "n_intervals"),
        State("compare-dataset", "value"),
        State("compare-architectures", "value"),
    )
    def offer(_path: Any, _tick: Any, dataset: Any, chosen: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        try:
            architectures = gateway.trainer.architectures()
            ready = [x.fact for x in gateway.datasets() if x.fact.state is DatasetState.READY]
        except ExchangeaiError as e:
            return no_update, dataset, loading_failed(e), chosen, False
        cards = [
            html.Div(
                dmc.Checkbox(value=a.name, label=a.name, description=architecture_words(a)),
                className="choice",
            )
            for a in architectures
        ]
        data = [{"value": d.dataset_id, "label": d.name} for d in ready]
        # A data set may become ready later, so that the question is asked again until there is one.
        return (
            data,
            dataset or next((d.dataset_id for d in ready), None),
            html.Div(cards, className="choice-list"),
            chosen or [a.name for a in architectures[:2]],
            bool(ready),
        )

    @app.callback(
        Output("compare-preset", "children"),
        Input("compare-dataset", "value"),
        Input("compare-architectures", "value"),
    )
    def advise(dataset: Any, chosen: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        if not dataset or not chosen:
            return html.P("Choose a data set and architectures to see the presets.", className="quiet")
        try:
            return preset_cards(gateway.trainer.presets(dataset, chosen[0]))
        except ExchangeaiError as e:
            return loading_failed(e)

    @app.callback(
        Output("compare-estimate", "children"),
        Input("compare-preset", "children"),
        Input("compare-preset", "value"),
        Input("compare-seeds", "value"),
        State("compare-dataset", "value"),
        State("compare-architectures", "value"),
    )
    def estimate(_cards: Any, preset: Any, seeds: Any, dataset: Any, chosen: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        if not dataset or not chosen:
            return None
        if len(chosen) > MOST_ESTIMATED:
            return html.P(f"Time is estimated for up to {MOST_ESTIMATED} architectures.", className="quiet")
        try:
            times = len(_numbers(seeds))
            options = {p.name: p.options for p in gateway.trainer.presets(dataset, chosen[0])}[str(preset)]
            found = [gateway.trainer.estimate(dataset, name, options) for name in chosen]
        except ExchangeaiError as e:
            return html.P(f"No estimate: {e}", className="quiet")
        whole = replace(
            found[0],
            low_s=sum(e.low_s for e in found) / len(found),
            high_s=sum(e.high_s for e in found) / len(found),
            peak_memory_bytes=max(e.peak_memory_bytes for e in found),
            measured_from=f"a few steps of each here; {options.max_epochs} epochs, with all labels",
        )
        return estimate_words(whole, runs=len(found) * times)


def _start(app: Any, gateway: Gateway) -> None:
    @app.callback(
        Output("compare-outcome", "children"),
        Output("url", "pathname", allow_duplicate=True),
        Input("compare-start", "n_clicks"),
        *[
            State(f"compare-{key}", "value")
            for key in ("dataset", "architectures", "seeds", "shares", "preset", "name")
        ],
        State("compare-find-rate", "checked"),
        running=[(Output("compare-start", "loading"), True, False)],
        prevent_initial_call=True,
    )
    def start(clicks: Any, *said: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        if not clicks:  # the page has just been inserted, which also calls
            return no_update, no_update
        dataset, chosen, seeds, shares, preset, name, find_rate = said
        try:
            if not dataset or not chosen or not name:
                raise InvalidArgument("Choose a data set, architectures and a name first.")
            made = {p.name: p.options for p in gateway.trainer.presets(dataset, chosen[0])}
            comparison = gateway.trainer.start_comparison(
                dataset_id=dataset,
                name=name,
                architectures=chosen,
                seeds=_numbers(seeds),
                label_shares=[float(x) for x in shares or ()],
                options=replace(made[str(preset)], find_learning_rate=bool(find_rate)),
                request_key=secrets.token_hex(16),
            )
        except ExchangeaiError as e:
            return problem(e), no_update
        return None, f"/compare/{comparison.comparison_id}"

    @app.callback(
        Output("compare-steered", "children"),
        Input("compare-cancel", "n_clicks"),
        State("url", "pathname"),
        prevent_initial_call=True,
    )
    def cancel(clicks: Any, pathname: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        if not clicks:
            return no_update
        try:
            gateway.trainer.cancel_comparison(comparison_id_of(pathname))
        except ExchangeaiError as e:
            return problem(e)
        return None


def _numbers(text: Any) -> list[int]:
    """Seeds from a list in a field. Raises InvalidArgument."""
    try:
        found = [int(x) for x in str(text or "").replace(";", ",").split(",") if x.strip()]
    except ValueError as e:
        raise InvalidArgument("Seeds are whole numbers divided by commas, for example 0, 1, 2.") from e
    if not found or min(found) < 0:
        raise InvalidArgument("Give at least one seed, a whole number that is not negative.")
    return list(dict.fromkeys(found))


def _watch(app: Any, gateway: Gateway) -> None:
    @app.callback(
        Output("compare-head", "children"),
        Output("compare-board", "children"),
        Output("compare-runs", "children"),
        Output("compare-list", "children"),
        Output("compare-cancel", "style"),
        Output("compare-tick", "disabled"),
        Output("compare-shown", "data"),
        Input("url", "pathname"),
        Input("compare-tick", "n_intervals"),
        Input("compare-steered", "children"),
        Input("dark", "data"),
        State("compare-shown", "data"),
    )
    def watch(  # pyright: ignore[reportUnusedFunction]
        pathname: Any, _tick: Any, _steered: Any, dark: Any, shown: Any
    ) -> Any:
        hidden: dict[str, str] = {"display": "none"}
        wanted = comparison_id_of(cast("str", pathname))
        try:
            listed = gateway.trainer.comparisons()
        except ExchangeaiError as e:
            return loading_failed(e), None, None, no_update, hidden, False, ""
        rest = not any(not fact.state.ended for fact, _ in listed)
        table = parts.comparisons([fact for fact, _ in listed])
        found = next((x for x in listed if x[0].comparison_id == wanted), None)
        if found is None:
            title = "There is no such comparison" if wanted else "No comparison chosen"
            return (
                empty(title, "Start one, or choose one from the table.", heading=True),
                *(None, None, table, hidden, rest, ""),
            )
        fact, progress = found
        # Drawn anew each second a figure could not be looked at.
        now = f"{fact.comparison_id} {fact.state} {fact.updated_at} {bool(dark)}"
        return (
            parts.head(fact, progress),
            no_update if now == shown else parts.board(fact, dark=bool(dark)),
            parts.runs(progress.runs, fact.state.ended),
            table,
            {} if fact.state == "running" else hidden,
            rest,
            now,
        )
