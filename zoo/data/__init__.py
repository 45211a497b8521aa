"""Photographs, labels and names of classes."""
