"""What can go wrong with a model, by what the caller should do about it."""

from __future__ import annotations

from inference.types import Endpoint, Usage


class InferenceError(Exception):
    """Something went wrong with a model."""

    #: The endpoint that was asked, for the record; None where none was.
    endpoint: Endpoint | None = None
    #: What the model wrote before the error. It is paid for like an answer.
    text: str = ""
    #: What it thought apart from that, which is paid for too.
    thoughts: str = ""
    #: What the server counted; None where it did not.
    usage: Usage | None = None
    #: The server's own words about it, on one line, at most 300 characters, without anything of the prompt; empty where it said nothing.
    said: str = ""
    #: The HTTP status of the refusal; 0 where it came without one.
    status: int = 0
    #: False where the server was passed over without a request: its breaker is open, or the time that it asked for is not over.
    asked: bool = True

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class BadModelSetting(InferenceError):
    """A model setting has a value that cannot be used."""


class ModelUnavailable(InferenceError):
    """The model cannot be reached or does not answer in time. The turn stays open, and this does not count as a try."""


class AnswerCut(ModelUnavailable):
    """The model was still writing when the total deadline passed. What it had written is in `text`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class ModelBusy(ModelUnavailable):
    """The model server is full. It is healthy: the breaker does not count this."""

    #: How long it asks not to be called again, in seconds; 0 where it does not say.
    retry_after_s: float = 0.0


class OutOfQuota(ModelUnavailable):
    """The account at the provider has no credit or quota left. An operator must fix it; the breaker does not count this."""

    #: How long it asks not to be called again, in seconds; 0 where it does not say.
    retry_after_s: float = 0.0


class CircuitOpen(ModelUnavailable):
    """The model failed several times in a row, so it is not called for a while."""

    asked = False


class ModelRefused(InferenceError):
    """The model server rejects the request (4xx): the request or its key is wrong. Trying again will not help."""


class NoEndpoint(ModelRefused):
    """No endpoint of the profile may be asked: it has none, or only outside ones, to which this text must not be sent."""


class PromptTooLong(ModelRefused):
    """The prompt exceeds the model's context, or leaves too little of it for an answer."""

    #: The context, and the tokens of the prompt, as the server named them; 0 where it did not.
    limit: int = 0
    size: int = 0


class ContentFiltered(ModelRefused):
    """The server will not answer these words, or cut its answer because of its content. Other words may be answered."""


class GarbageAnswer(InferenceError):
    """The model's answer must not reach a person."""


class EngineFailed(InferenceError):
    """The engine cannot load or serve its model."""


class EngineCannotStart(EngineFailed):
    """The engine cannot start, and starting it again would not help: the message says what to do."""


class WrongDimensions(InferenceError):
    """The embedding model's vectors do not have the length of those in the database. The message names both."""


class CatalogError(InferenceError):
    """The model catalog cannot give what was asked for."""


class BadModelFile(CatalogError):
    """A model file cannot be used. The message names the file, the line and the reason."""


class UnknownModel(CatalogError):
    """The catalog has no model of that key."""
