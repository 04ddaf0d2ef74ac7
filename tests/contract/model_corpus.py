"""Crafted model files: each is wrong or hostile in one way, with the words that a refusal must have."""

from __future__ import annotations

from exchangeai.model_file import MANIFEST_KEY, write_manifest
from exchangeai.testing.models import tiny_graph, tiny_manifest
from tests.contract import corpus_contract, corpus_operators, corpus_sizes
from tests.contract.corpus_parts import SPOILT, Crafted

GRAPHS = (corpus_operators, corpus_sizes, corpus_contract)
"""Their cases note themselves when they are imported."""


def corpus() -> list[Crafted]:
    """All of them; equal bytes each time."""
    spoilt: list[Crafted] = []
    for name, says, spoil, kills in SPOILT:
        graph = tiny_graph()
        manifest = tiny_manifest(graph)
        spoil(graph)
        data = graph.SerializeToString()
        if not any(x.key == MANIFEST_KEY for x in graph.metadata_props):
            data = write_manifest(graph, manifest)
        spoilt.append(Crafted(name=name, data=data, says=says, kills=kills))
    return [*spoilt, *corpus_contract.manifests(), *corpus_contract.goldens(), *corpus_contract.torn()]
