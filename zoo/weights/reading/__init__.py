"""Reads the formats of files of weights: which arrays a file has, and under which names."""
