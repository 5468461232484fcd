"""The way out over HTTP that both wings share: httpx on top, a total deadline below. Knows nothing of bots or models."""
