"""The start of a run on the page Fine-tune: architecture, base model, method, preset, time, options."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import Input, Output, State, dcc, html, no_update

from exchangeai.errors import ExchangeaiError, InvalidArgument
from exchangeai.facts import AUGMENTATIONS, Method, TrainingOptions
from exchangeai.int8 import INT8_MOST_LOSS, INT8_SUFFIX
from exchangeai.rpc.training_options import stated_options
from services.ui.figures import theme
from services.ui.gateway import Gateway
from services.ui.pages.notices import POLITE, loading_failed, problem
from services.ui.pages.training_fields import (
    USUAL,
    architecture_words,
    count_field,
    estimate_words,
    preset_cards,
    waiting,
)

_NUMBERS = {
    # id of the field: option, label, step
    "max-epochs": ("max_epochs", "Epochs at most", 1),
    "patience": ("patience", "Stop after epochs without gain", 1),
    "batch-size": ("batch_size", "Recordings a step", 1),
    "learning-rate": ("learning_rate", "Peak learning rate", 0.001),
    "mixup": ("mixup", "Mixup", 0.1),
    "smoothing": ("label_smoothing", "Label smoothing", 0.01),
    "average": ("average", "Averaging of weights", 0.001),
    "processes": ("processes", "Processes", 1),
    "seed": ("seed", "Seed", 1),
}
_SWITCHES = ("find-rate", "class-weights", "int8")
_FIELDS = (*_NUMBERS, *_SWITCHES, "augmentations")
_METHODS = {
    "preset": "as the preset says",
    Method.LINEAR_PROBE.value: "only the last layer (linear probe)",
    Method.ATTENTION_HEAD.value: "pooling and last layer (attention head)",
    Method.FULL.value: "every layer, earlier ones more slowly",
}
_SCRATCH = [{"value": "preset", "label": "every layer, from scratch"}]
_WAYS = {
    "gain": "gain",
    "lead_loss": "lost leads",
    "noise": "noise",
    "wander": "wandering baseline",
    "time_out": "blanked stretches",
}


def panel() -> Any:
    """Architecture, preset and start."""
    return html.Div(
        className="panel",
        children=[
            html.H2("2  Architecture"),
            dmc.RadioGroup(
                id="architecture", label="Train this", children=waiting("architectures"), className="choices"
            ),
            dmc.Select(
                id="base", label="Start from", data=[], placeholder="from scratch", clearable=True, mt="sm"
            ),
            dmc.Select(
                id="method", label="Train", data=_SCRATCH, value="preset", allowDeselect=False, mt="sm"
            ),
            html.H2("3  How long", style={"marginTop": "18px"}),
            dmc.RadioGroup(id="preset", label="Preset", value=USUAL, children=waiting("presets")),
            dcc.Loading(
                html.Div(id="estimate", className="estimate", **POLITE),
                type="dot",
                color=theme.LOADING,
                delay_show=300,
            ),
            html.Details(
                [
                    html.Summary("Advanced"),
                    html.P("An empty field means what the preset says, shown in grey.", className="quiet"),
                    html.Div(
                        [count_field(k, label, step) for k, (_, label, step) in _NUMBERS.items()],
                        className="pairs roomy",
                    ),
                    dmc.MultiSelect(
                        id="augmentations",
                        label="Vary windows by",
                        data=[{"value": x, "label": _WAYS[x]} for x in AUGMENTATIONS],
                        value=[],
                        clearable=True,
                        mt="xs",
                    ),
                    dmc.Switch(id="find-rate", label="Search for the learning rate first", mt="sm"),
                    dmc.Switch(id="class-weights", label="Weigh rare classes more", mt="xs"),
                    dmc.Switch(
                        id="int8",
                        label="Make an int8 form as well",
                        description="Smaller, and faster on CPUs. It becomes a model of its own, its name "
                        f"ending in {INT8_SUFFIX}, if it loses at most {INT8_MOST_LOSS:g} of macro-AUROC on "
                        "validation.",
                        mt="xs",
                    ),
                ]
            ),
            html.H2("4  Start", style={"marginTop": "18px"}),
            dmc.TextInput(id="model-name", label="Name of the model", value="my-model"),
            dmc.Button("Start", id="start", fullWidth=True, mt="sm"),
            html.Div(id="start-outcome"),
        ],
    )


def register(app: Any, gateway: Gateway) -> None:
    """Connect the panel to the trainer."""
    _offer(app, gateway)
    _advise(app, gateway)

    @app.callback(
        Output("start-outcome", "children"),
        Output("url", "pathname", allow_duplicate=True),
        Input("start", "n_clicks"),
        State("dataset", "value"),
        State("architecture", "value"),
        State("base", "value"),
        State("method", "value"),
        State("preset", "value"),
        State("model-name", "value"),
        *_field_states(State),
        running=[(Output("start", "loading"), True, False)],
        prevent_initial_call=True,
    )
    def start(  # pyright: ignore[reportUnusedFunction]
        clicks: Any,
        dataset: Any,
        architecture: Any,
        base: Any,
        method: Any,
        preset: Any,
        name: Any,
        *said: Any,
    ) -> Any:
        if not clicks:  # the page has just been inserted, which also calls
            return no_update, no_update
        try:
            if not dataset or not architecture or not name:
                raise InvalidArgument("Choose a data set, an architecture and a name first.")
            run = gateway.trainer.start_run(
                dataset_id=dataset,
                architecture=architecture,
                model_name=name,
                base_model=base or "",
                # One key a click: the call may be repeated on its way without a second run.
                request_key=secrets.token_hex(16),
                options=_options(gateway, dataset, architecture, base, method, preset, said),
            )
        except ExchangeaiError as e:
            return problem(e), no_update
        return None, f"/fine-tune/{run.run_id}"


def _field_states(kind: Any) -> list[Any]:
    return [kind(key, "checked" if key in _SWITCHES else "value") for key in _FIELDS]


def _options(
    gateway: Gateway, dataset: str, architecture: str, base: Any, method: Any, preset: Any, said: Any
) -> TrainingOptions:
    """The preset's options with what was stated in their place. Raises ExchangeaiErrors."""
    made = {p.name: p for p in gateway.trainer.presets(dataset, architecture, from_base=bool(base))}
    chosen = made.get(str(preset), made[USUAL]).options
    of = dict(zip(_FIELDS, said, strict=True))
    stated = {option: of[key] for key, (option, _, _) in _NUMBERS.items() if of[key] not in (None, "")}
    checked = stated_options(stated)
    chosen = replace(chosen, **{option: getattr(checked, option) for option in stated})
    if method not in (None, "", "preset"):
        chosen = replace(chosen, method=Method(method))
    return replace(
        chosen,
        augmentations=tuple(of["augmentations"] or ()),
        find_learning_rate=bool(of["find-rate"]),
        class_weights=bool(of["class-weights"]),
        int8=bool(of["int8"]),
    )


def _offer(app: Any, gateway: Gateway) -> None:
    @app.callback(
        Output("architecture", "children"),
        Output("architecture", "value"),
        Output("offer-tick", "disabled"),
        Input("url", "pathname"),
        Input("offer-tick", "n_intervals"),
        State("architecture", "value"),
    )
    def offer(_path: Any, _tick: Any, value: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        try:
            architectures = gateway.trainer.architectures()
        except ExchangeaiError as e:
            return loading_failed(e), value, False
        cards = [
            html.Div(
                dmc.Radio(value=a.name, label=a.name, description=architecture_words(a)), className="choice"
            )
            for a in architectures
        ]
        # A list that scrolls must be reached by the keyboard, which its radio buttons are.
        return (
            html.Div(cards, className="choice-list"),
            value or next((a.name for a in architectures), None),
            True,
        )

    @app.callback(
        Output("base", "data"),
        Output("base", "value"),
        Output("base-tick", "disabled"),
        Output("base", "description"),
        Input("url", "pathname"),
        Input("architecture", "value"),
        Input("base-tick", "n_intervals"),
        State("base", "value"),
    )
    def offer_bases(_path: Any, architecture: Any, _tick: Any, value: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        try:
            models = [m.key for m in gateway.models() if m.approved and m.architecture == architecture]
        except ExchangeaiError:
            return [], value, False, "The list of models is not there yet."
        told = f"{len(models) or 'No'} approved model{'' if len(models) == 1 else 's'} of this architecture"
        return models, value if value in models else None, True, told

    @app.callback(
        Output("method", "data"),
        Output("method", "value"),
        Output("method", "description"),
        Input("base", "value"),
        State("method", "value"),
    )
    def offer_methods(base: Any, value: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        if not base:
            return _SCRATCH, "preset", "The other methods need a model to start from."
        return [{"value": k, "label": v} for k, v in _METHODS.items()], value or "preset", None


def _advise(app: Any, gateway: Gateway) -> None:
    @app.callback(
        Output("preset", "children"),
        *[Output(key, "placeholder") for key in _NUMBERS],
        Output("augmentations", "value"),
        Input("dataset", "value"),
        Input("dataset-state", "children"),
        Input("architecture", "value"),
        Input("base", "value"),
        Input("preset", "value"),
    )
    def advise(  # pyright: ignore[reportUnusedFunction]
        dataset: Any, _state: Any, architecture: Any, base: Any, preset: Any
    ) -> Any:
        unchanged = [no_update] * (len(_NUMBERS) + 1)
        if not dataset or not architecture:
            told = html.P("Choose a data set and an architecture to see the presets.", className="quiet")
            return told, *unchanged
        try:
            made = gateway.trainer.presets(dataset, architecture, from_base=bool(base))
        except ExchangeaiError:
            # Told where the data set and the architectures are.
            told = html.P("Presets come when the data set is ready.", className="quiet")
            return told, *unchanged
        chosen = next((p.options for p in made if p.name == preset), TrainingOptions())
        grey = [f"{getattr(chosen, option):g}" for option, _, _ in _NUMBERS.values()]
        return preset_cards(made), *grey, list(chosen.augmentations)

    @app.callback(
        Output("estimate", "children"),
        # Cards come when the data set is ready.
        Input("preset", "children"),
        Input("method", "value"),
        Input("max-epochs", "value"),
        Input("batch-size", "value"),
        Input("processes", "value"),
        State("dataset", "value"),
        State("architecture", "value"),
        State("base", "value"),
        State("preset", "value"),
        *_field_states(State),
    )
    def estimate(*given: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        _cards, method, _epochs, _batch, _processes, dataset, architecture, base, preset, *said = given
        if not dataset or not architecture:
            return None
        try:
            options = _options(gateway, dataset, architecture, base, method, preset, said)
            return estimate_words(gateway.trainer.estimate(dataset, architecture, options))
        except ExchangeaiError as e:
            return html.P(f"No estimate: {e}", className="quiet")
