"""Written training rules, the same in every framework."""
