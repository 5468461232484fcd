"""What can go wrong with a model, by what the caller should do about it."""

from __future__ import annotations


class InferenceError(Exception):
    """Something in the model wing went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class BadModelSetting(InferenceError):
    """A model setting has a value that cannot be used."""


class ModelUnavailable(InferenceError):
    """The model cannot be reached or does not answer in time. The turn stays open: this is not a try."""


class AnswerCut(ModelUnavailable):
    """The model was still writing when the total deadline came. What it wrote until then is in `text`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class ModelBusy(ModelUnavailable):
    """The model server is full (503). It is healthy: the breaker does not count this."""


class ModelRefused(InferenceError):
    """The model server rejects the request (4xx): the request or its key is wrong. Trying again will not help."""


class PromptTooLong(ModelRefused):
    """The prompt exceeds the model's context."""


class GarbageAnswer(InferenceError):
    """The model answered something that must not reach a person."""


class EngineFailed(InferenceError):
    """The engine cannot load or serve its model."""
