"""Limits that end what hangs. No test measures time: a machine may be as slow as it likes."""

#: Seconds that a process may take.
HANG = 1800
