"""Renderings of a verification's results: terminal, HTML page and plots."""
