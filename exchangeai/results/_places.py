"""Where a result lies: the key of its fact and of its object. There is one for each recording, model and
version of the preprocessing."""

from __future__ import annotations

import re

from exchangeai.facts import ResultFact

ANY = "*"


def fact_key(fact: ResultFact) -> str:
    """Key of a result's fact: three parts between dots."""
    return f"{fact.recording_id}.{fact.model_digest}.{_plain(fact.preprocessing_version)}"


def fact_pattern(recording_id: str = ANY, model_digest: str = ANY) -> str:
    """The keys of a recording's results, of a model's, of both or of all."""
    return f"{recording_id}.{model_digest}.*"


def object_prefix(recording_id: str) -> str:
    """The folder of a recording's results."""
    return f"results/{recording_id}/"


def object_key(fact: ResultFact) -> str:
    """The object that holds the answer."""
    version = _plain(fact.preprocessing_version)
    return f"{object_prefix(fact.recording_id)}{fact.model_digest}-{version}.json"


def _plain(version: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", version) or "-"
