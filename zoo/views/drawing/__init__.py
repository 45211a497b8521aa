"""Pictures of networks; no framework is needed, nor any program.

A network is folded to boxes (``boxes``, ``runs``) that say what they are (``blocks``, ``words``).
They are laid out in layers (``layout``), lines run between them (``routing``), a long picture is
broken into columns (``columns``), and written as SVG (``svg``, ``style``).
"""
