"""Writing, trying and publishing bots."""
