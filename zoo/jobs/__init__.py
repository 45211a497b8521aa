"""Independent jobs: in processes of this machine, or wherever an executor runs them."""
