"""A model of a few layers, of each kind that has weights."""

from __future__ import annotations

import textwrap

import pytest

import zoo

LAYERS = """
conv: {op: conv, out_channels: 4, kernel_size: 3}
bn: {op: batch_norm}
relu: {op: relu}
flatten: {op: flatten}
fc: {op: linear, out_features: $num_classes}
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    path = tmp_path_factory.mktemp("specs") / "small.yaml"
    header = "format: 1\nname: small\noptions: {num_classes: 5, in_channels: 2, input_size: 6}\n"
    path.write_text(header + "layers:\n" + textwrap.indent(LAYERS.strip(), "  ") + "\n")
    return path


@pytest.fixture
def model(spec, framework, backend):
    return zoo.build(spec, backend)
