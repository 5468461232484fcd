"""Connecting accounts, and checking and changing them later."""
