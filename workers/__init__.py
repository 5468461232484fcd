"""Celery workers and the dispatcher: the one package that joins bots and inference."""
