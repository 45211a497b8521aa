"""Benchmarks as tables and as a page."""
