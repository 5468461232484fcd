"""How personal the answers are, measured: extraction, supersession, recall, scale."""
