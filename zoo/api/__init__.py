"""The public functions. ``import zoo`` provides all of them and imports no framework."""
