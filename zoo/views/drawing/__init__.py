"""Drawings of networks as SVG, without a framework or any other program.

A network is folded (``folding``, ``repeats``) to a scene of boxes, frames and lines (``scene``),
with labels for operations (``labels``) and for blocks (``block_labels``). The scene is laid out in
layers (``layout``), lines are routed between them (``routing``), a long picture is broken into
columns (``columns``) that fit a page (``page``), and the result is written as SVG (``svg``,
``style``).
"""
