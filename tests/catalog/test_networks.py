"""Every network that zoo ships and every one that it has weights for, and the indexes of them."""

from __future__ import annotations

import json

import pytest
from identifying import PUBLISHED, arrays_of, identify
from identifying import without_index as without_index

import zoo
from zoo.language import index, shipped
from zoo.language.options import Chosen
from zoo.weights import counts, sources


def test_every_shipped_model_has_a_graph():
    for name in zoo.list_models():
        graph = zoo.graph(name)
        assert graph.name == name
        assert graph.root.shape == (graph.options["num_classes"],)
        names = [node.name for node in graph.nodes]
        assert len(set(names)) == len(names)
        known = {"input"}
        for node in graph.nodes:
            assert set(node.inputs) <= known, "nodes come in an order they can be computed in"
            known.add(node.name)


def test_the_index_is_current():
    path = shipped.folder() / shipped.INDEX
    assert path.read_text(encoding="utf-8") == index.text(), "run: python -m zoo.language.index"


def test_the_index_of_weights_is_current():
    assert counts.path().read_text(encoding="utf-8") == counts.generate(), (
        "python -m zoo.weights.counts"
    )
    assert counts._read(), "the index is not used"


@pytest.mark.parametrize("index", [True, False])
def test_every_network_is_found_among_those_of_its_names(index, request):
    if not index:
        request.getfixturevalue("without_index")
        assert not counts._read()
    by_names = {}
    for source, network in PUBLISHED:
        names = frozenset(arrays_of(source, network))
        by_names.setdefault((sources.source(source).formats[0], names), []).append(network)
    for source, network in PUBLISHED:
        suffix, arrays = sources.source(source).formats[0], arrays_of(source, network)
        matches = identify(suffix, arrays)
        expected = set(by_names[suffix, frozenset(arrays)])
        if len(expected) == 1:  # where names are the same, those of other sources come, too
            assert {name for _, name in matches} == expected, (source, network)
        else:
            assert {name for _, name in matches} >= expected


def test_every_preprocessing_and_input_size_of_a_table_is_valid():
    """By making the network with each."""
    for table in sources.sources().values():
        for name, network in table.networks.items():
            recipes = {json.dumps(f.preprocessing): f for f in network.published if f.preprocessing}
            for file in recipes.values():
                document = {**zoo.graph(name).document, "preprocessing": file.preprocessing}
                zoo.language.graphs.graph_of_document(name, document, Chosen())
            tags = [file.tag for file in network.published]
            assert len(set(tags)) == len(tags)
