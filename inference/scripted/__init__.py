"""A scriptable OpenAI-compatible model server for practice, tests and benchmarks: `python -m inference.scripted --port 0`.

What it answers and how it fails is set over HTTP while it runs (`script.py`). It needs few resources, and handles thousands of requests at once.
"""
