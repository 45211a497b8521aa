"""Photographs, labels and class names."""
