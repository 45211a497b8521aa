"""Training rules written in NumPy, the same for every framework."""
