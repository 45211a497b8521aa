"""Source code of networks: the module of a framework that a person would have written."""
