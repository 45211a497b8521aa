"""Optimizer rules written in NumPy, shared by all frameworks."""
