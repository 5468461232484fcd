"""Messaging: channels, storage, web. Nothing here depends on an engine."""
