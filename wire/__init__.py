"""Outgoing HTTP, shared by bots and inference: httpx on top of a transport with a total deadline. Knows nothing of bots or models."""
