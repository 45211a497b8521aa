"""Networks as people read them: summaries, differences, drawings."""
