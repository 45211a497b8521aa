"""The commands of ``zoo``, one a module; ``zoo.cli`` assembles them."""
