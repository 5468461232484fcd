"""The pages in a real Chromium, before the real web, workers and dispatcher."""
