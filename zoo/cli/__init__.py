"""The command line: one command a module; ``main`` assembles them."""
