"""Studies as tables, as a page, and as files for other programs."""
