"""Recall: how a turn is indexed, and what a question looks for; pure."""
