"""A scriptable OpenAI-compatible model server for practice, tests and benches: `python -m inference.scripted --port 0`.

What it answers and how it fails is chosen over HTTP while it runs (`script.py`); it is cheap, and holds thousands of requests at once.
"""
