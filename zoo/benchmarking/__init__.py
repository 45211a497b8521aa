"""How fast frameworks run a network, how much memory they need, and that it is the same network.

A cell is one thing to be timed. Each is timed in several new processes, in random order, and has a
time only if its results were held to the reference; see ``docs/benchmarking.md``.
"""
