"""Calls to a model server: the client, and what it stands on."""

from inference.client.breaker import Breaker
from inference.client.client import ModelClient, answer_format, image_parts

__all__ = ["Breaker", "ModelClient", "answer_format", "image_parts"]
