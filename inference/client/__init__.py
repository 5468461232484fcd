"""Calls to a model server: the client, and what it stands on."""

from inference.client.body import answer_format, image_parts
from inference.client.breaker import Breaker
from inference.client.client import ModelClient

__all__ = ["Breaker", "ModelClient", "answer_format", "image_parts"]
