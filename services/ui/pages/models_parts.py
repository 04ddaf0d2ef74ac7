"""What the page Models draws: the names with their versions, and what a person may change about them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc  # pyright: ignore[reportMissingTypeStubs]
from dash import html

from services.ui.pages.notices import empty
from services.ui.views import ServingView, VersionView

_ORIGINS = {"here": "trained here", "import": "imported"}
_SHOWN_OF_DIGEST = 12


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that a person may do; the texts are filled in with what it is done to."""

    word: str
    """On its button."""
    question: str
    meaning: str
    done: str
    confirm: str = ""
    """On the button that confirms it, where that is another word."""


CHANGES = {
    "approve": Change(
        word="Approve",
        question="Approve version {version} of {name}?",
        meaning="It may predict from then on. Without a champion, the newest approved version answers.",
        done="Version {version} of {name} is approved.",
    ),
    "promote": Change(
        word="Make champion",
        question="Make version {version} of {name} the champion?",
        meaning="It answers from then on. The champion until now stays as the way back.",
        done="Version {version} of {name} is the champion.",
    ),
    "canary": Change(
        word="Canary",
        question="Let version {version} of {name} answer a share of the ECGs?",
        meaning="The champion answers the others. The same ECG always meets the same version.",
        done="Version {version} of {name} answers {share:g} % of the ECGs.",
        confirm="Set share",
    ),
    "end-canary": Change(
        word="End canary",
        question="End the canary of {name}?",
        meaning="The champion answers all ECGs.",
        done="The canary of {name} has ended.",
    ),
    "shadow": Change(
        word="Shadow",
        question="Run version {version} of {name} beside the champion?",
        meaning="It runs after each answer, only to be compared. Nobody sees what it says.",
        done="Version {version} of {name} runs as shadow.",
        confirm="Start shadow",
    ),
    "end-shadow": Change(
        word="End shadow",
        question="End the shadow of {name}?",
        meaning="Its comparison ends with it.",
        done="The shadow of {name} has ended.",
    ),
    "back": Change(
        word="Roll back",
        question="Roll {name} back to version {version}?",
        meaning="It was the champion before, and answers again. A canary ends.",
        done="{name} is back at version {version}.",
    ),
    "deprecate": Change(
        word="Deprecate",
        question="Deprecate version {version} of {name}?",
        meaning="It answers nobody until a person approves it again.",
        done="Version {version} of {name} is deprecated.",
    ),
}


def panels(served: list[ServingView]) -> Any:
    """One panel for each name."""
    if not served:
        return empty("No models yet", "Train one on the page Fine-tune, or import one from another site.")
    return [_panel(x) for x in served]


def _panel(served: ServingView) -> Any:
    heads = ["Version", "Serves as", "State", "From", "Digest"]
    last = html.Th(html.Span("Changes", className="hidden-text"))
    return html.Div(
        className="panel",
        children=[
            html.H2(served.name),
            html.P(_said(served), className="quiet"),
            dmc.Alert(served.problem, color="yellow", variant="light", className="problem")
            if served.problem
            else None,
            html.P(_comparison(served), className="quiet") if served.shadow else None,
            html.Div(
                html.Table(
                    className="table versions",
                    children=[
                        html.Thead(html.Tr([*(html.Th(x) for x in heads), last])),
                        html.Tbody([_row(served, x) for x in served.versions]),
                    ],
                ),
                className="scroll",
            ),
        ],
    )


def _said(served: ServingView) -> str:
    if served.champion:
        said = f"Version {served.champion} is the champion."
    elif served.answering:
        said = "No champion was chosen: the newest approved version answers."
    elif any(x.state == "approved" for x in served.versions):
        said = "Nothing answers yet."
    else:
        said = "Nothing answers: no version is approved."
    if not served.changed_at:
        return said
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(served.changed_at))
    return f"{said} Last change {when} by {served.changed_by or 'unknown'}."


def _comparison(served: ServingView) -> str:
    if not served.compared:
        return f"Shadow, version {served.shadow}: no answer compared yet."
    return (
        f"Shadow, version {served.shadow}: {served.compared} answers compared, {served.differing} decided "
        f"otherwise, greatest difference of a probability {served.max_difference:.3f}."
    )


def _row(served: ServingView, version: VersionView) -> Any:
    origin = _ORIGINS.get(version.origin, version.origin)
    roles = [html.Span(text, className=f"role {kind}") for kind, text in _roles(served, version.version)]
    acts = [_button(served.name, what, number, text) for what, number, text in _acts(served, version)]
    return html.Tr(
        [
            html.Td(str(version.version)),
            html.Td(dmc.Group(roles, gap="xs") if roles else "—"),
            html.Td(html.Span(version.state, className=f"state {version.state}")),
            html.Td(f"{origin}, signed by {version.signed_by}" if version.signed_by else origin),
            html.Td(html.Code(version.digest[:_SHOWN_OF_DIGEST], title=version.digest)),
            html.Td(dmc.Group(acts, gap="xs", justify="flex-end")),
        ]
    )


def _roles(served: ServingView, number: int) -> list[tuple[str, str]]:
    """(kind, words) for what a version does; a champion that does not answer says so."""
    answers, roles = served.answering == number, list[tuple[str, str]]()
    if served.champion == number:
        roles.append(("champion", "champion") if answers else ("silent", "champion, does not answer"))
    elif answers:
        roles.append(("champion", "answers"))
    if served.canary == number:
        roles.append(("canary", f"canary {served.canary_share:.0%}"))
    if served.shadow == number:
        roles.append(("shadow", "shadow"))
    return roles


def _acts(served: ServingView, version: VersionView) -> list[tuple[str, int, str]]:
    """(key of the change, version that it is about, words of its button) that make sense for a version."""
    number = version.version
    if version.state != "approved":
        return [("approve", number, CHANGES["approve"].word)]
    acts: list[tuple[str, str]] = []
    if served.champion != number:
        acts.append(("promote", ""))
    if served.canary == number:
        acts += [("canary", "Change share"), ("end-canary", "")]
    elif served.answering != number:
        acts.append(("canary", ""))
    if served.shadow == number:
        acts.append(("end-shadow", ""))
    elif served.answering != number:
        acts.append(("shadow", ""))
    if served.champion != number:
        acts.append(("deprecate", ""))
    found = [(what, number, text or CHANGES[what].word) for what, text in acts]
    if served.champion == number and served.previous:
        before = served.previous[-1]
        found.append(("back", before, f"Roll back to version {before}"))
    return found


def _button(name: str, what: str, number: int, text: str) -> Any:
    label: dict[str, Any] = {"aria-label": f"{text}: version {number} of {name}"}
    return dmc.Button(
        text,
        id={"type": "serving-act", "what": what, "name": name, "version": number},
        size="compact-sm",
        variant="default",
        **label,
    )
