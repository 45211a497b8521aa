"""Images, labels and class names; datasets, and batches for training."""
