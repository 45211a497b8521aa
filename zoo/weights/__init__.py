"""Canonical weights: their checks, initial values, files and publishers."""
