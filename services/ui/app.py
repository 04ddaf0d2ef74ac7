"""The application: one shell with top bar and notice, the pages inside it, strict response headers."""

from __future__ import annotations

from typing import Any, cast

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from flask import Response

from services.ui.gateway import Gateway
from services.ui.pages import analyse, compare, finetune, models
from services.ui.pages.notices import POLITE, banner, empty

NOTICE = "Research use only, not a medical device"
PULSE_MS = 2000
"""How often a page asks whether all services are there."""
MAX_REQUEST_BYTES = 256 << 20
"""One drop of files, in base64."""

_PAGES = {
    # by the id of a page: the beginning of its address, and what makes it
    "page-analyse": ("/analyse", analyse.layout),
    "page-finetune": ("/fine-tune", finetune.layout),
    "page-compare": ("/compare", compare.layout),
    "page-models": ("/models", models.layout),
}

_NO_PAGE = empty("There is no such page", "Choose one above.", heading=True)

_HTML = """<!DOCTYPE html>
<html lang="en">
<head>{%metas%}<title>{%title%}</title>{%favicon%}{%css%}</head>
<body>{%app_entry%}<footer>{%config%}{%scripts%}{%renderer%}</footer></body>
</html>"""


def build(gateway: Gateway) -> Dash:
    """The Dash application; its `.server` is the WSGI application."""
    app = Dash(
        "services.ui",
        title="ExChanGeAI",
        update_title="",
        compress=True,
        suppress_callback_exceptions=True,
        assets_folder="assets",
        index_string=_HTML,
        serve_locally=True,
    )
    app.layout = _shell()
    _navigation(app)
    _watch_services(app, gateway)
    analyse.register(app, gateway)
    finetune.register(app, gateway)
    compare.register(app, gateway)
    models.register(app, gateway)
    _harden(app)
    return app


def _shell() -> Any:
    return dmc.MantineProvider(
        id="theme",
        forceColorScheme="light",
        theme={
            "primaryColor": "blue",
            # White words on the usual shade, 6, have a contrast of 3.6 only; WCAG wants 4.5.
            "primaryShade": {"light": 8, "dark": 8},
            "fontFamily": "system-ui, 'Segoe UI', Arial, sans-serif",
        },
        children=[
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="dark", storage_type="local", data=False),
            dcc.Store(id="names", storage_type="session", data={}),
            html.A("Skip to content", href="#page", className="skip"),
            html.Header(
                className="topbar",
                children=[
                    dcc.Link("ExChanGeAI", href="/", className="brand"),
                    html.Nav(
                        [
                            dcc.Link("Analyse", href="/analyse", id="nav-analyse", className="nav"),
                            dcc.Link("Fine-tune", href="/fine-tune", id="nav-finetune", className="nav"),
                            dcc.Link("Compare", href="/compare", id="nav-compare", className="nav"),
                            dcc.Link("Models", href="/models", id="nav-models", className="nav"),
                        ],
                        **{"aria-label": "Pages"},  # pyright: ignore[reportArgumentType]
                    ),
                    html.Div(NOTICE, className="notice", role="note"),
                    dmc.Switch(id="dark-switch", label="Dark", size="sm", checked=False, persistence=True),
                ],
            ),
            dcc.Interval(id="pulse", interval=PULSE_MS),
            html.Div(id="banner", **POLITE),
            html.Main(id="page", children=dmc.Loader(m="xl")),
        ],
    )


def _page_at(path: str) -> str | None:
    """Id of the page at an address; the first one has the bare address as well."""
    if path == "/":
        return next(iter(_PAGES))
    return next((n for n, (p, _) in _PAGES.items() if path == p or path.startswith(f"{p}/")), None)


def _navigation(app: Any) -> None:
    @app.callback(
        Output("page", "children"),
        Output("nav-analyse", "className"),
        Output("nav-finetune", "className"),
        Output("nav-compare", "className"),
        Output("nav-models", "className"),
        Input("url", "pathname"),
        State("page", "children"),
    )
    def show_page(pathname: str | None, shown: Any) -> tuple[Any, ...]:  # pyright: ignore[reportUnusedFunction]
        wanted = _page_at(pathname or "/")
        if wanted is None:
            return _NO_PAGE, *("nav" for _ in _PAGES)
        # Within a page only its parts change, so that a form or a drop is not lost.
        kept = cast("Any", shown)["props"].get("id") == wanted if isinstance(shown, dict) else False
        marked = ("nav active" if name == wanted else "nav" for name in _PAGES)
        return no_update if kept else _PAGES[wanted][1](), *marked

    app.clientside_callback(
        "function(on){ return [on ? 'dark' : 'light', !!on]; }",
        Output("theme", "forceColorScheme"),
        Output("dark", "data"),
        Input("dark-switch", "checked"),
    )


def _watch_services(app: Any, gateway: Gateway) -> None:
    @app.callback(
        Output("banner", "children"),
        Input("pulse", "n_intervals"),
        State("banner", "children"),
    )
    def tell(_n: Any, shown: Any) -> Any:  # pyright: ignore[reportUnusedFunction]
        away = gateway.away()
        if not away:
            return no_update if shown is None else None
        # The first request id stays, so that it can be read and quoted.
        names = " ".join(away)
        kept = cast("Any", shown)["props"].get("id") == f"away-{names}" if isinstance(shown, dict) else False
        return no_update if kept else banner(away)

    app.clientside_callback(
        ClientsideFunction(namespace="worklist", function_name="follow"),
        Output("worklist", "title"),
        Input("worklist", "children"),
    )


def _harden(app: Dash) -> None:
    server: Any = app.server
    server.config["MAX_CONTENT_LENGTH"] = MAX_REQUEST_BYTES
    scripts = " ".join(f"'{h}'" if not h.startswith("'") else h for h in app.csp_hashes())
    policy = (
        f"default-src 'self'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    )

    @server.after_request
    def headers(response: Response) -> Response:  # pyright: ignore[reportUnusedFunction]
        response.headers["Content-Security-Policy"] = policy
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @server.get("/healthz")
    def healthz() -> tuple[str, int]:  # pyright: ignore[reportUnusedFunction]
        return "ok", 200
