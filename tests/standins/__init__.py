"""The module structure of published models whose packages are not among the tests' own.

Each is the smallest that has the publisher's names and computes what the publisher's does,
written from its documented structure: torchvision's GoogLeNet and VGG, timm's VGG, PaddleClas's
VGG. What training alone would need is left out.
"""
