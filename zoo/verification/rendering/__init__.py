"""Renders the results of a verification: in a terminal, as HTML pages, and as plots."""
