"""Programs of whole networks, for the engines that run them; :func:`zoo.export` writes them."""
