"""Holds the configuration in a file of Keras to a network."""
