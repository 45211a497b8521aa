"""Summaries, differences and drawings of networks.

Each has plain data, tables or pictures that are made from the data, and a class that displays them.
"""
