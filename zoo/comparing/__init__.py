"""Trains the same network in several frameworks, and finds out what makes the results differ.

A study is data: the networks, datasets, backends, seeds and recipe, and the *switches*: the things
that frameworks do differently unless they are told. Each run of a study has every switch either
*aligned*, at one value for all backends, or *native*, as the framework's own users have it.
"""
