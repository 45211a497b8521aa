"""The graph: what a spec means, with nothing left to guess."""
