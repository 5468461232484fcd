"""Celery workers and the dispatcher: the one floor that joins bots and inference."""
