"""What a backend is, and the table of those there are."""
