"""The pages of the documentation that are generated, and the staging of those that are written."""
