"""Compares an ONNX file of another program with a network, node by node where nodes match.

The file's weights are read into the network by the names of its arrays. ONNX Runtime runs the file,
and NumPy the network in float64. A node of the network matches the value of the file that is equal
to it, so that no exporter's names of nodes matter, nor what it merged.

The modules, from low to high level: ``interface`` (inputs and outputs), ``weights``, ``matching``
(nodes and values), ``divergence`` (where they differ, in words), ``report`` and ``verify``.
"""
