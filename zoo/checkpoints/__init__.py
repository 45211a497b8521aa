"""Files of weights: zoo's own, and those that others publish."""
