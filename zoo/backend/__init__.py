"""The base class of backends, and the table of backends."""
