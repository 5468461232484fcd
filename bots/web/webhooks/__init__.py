"""Webhooks of the platforms."""
