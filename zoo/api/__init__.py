"""The public verbs; ``import zoo`` offers them all and imports no framework."""
