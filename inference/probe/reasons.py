"""Says in one line why an endpoint cannot be used, and what to do: in the server's own words where it has any. Pure."""

from __future__ import annotations

import re

from inference.client.shown import Asked, shown
from inference.client.told import Told, told
from inference.probe.cards import Listing
from inference.probe.replies import Reply
from inference.types import Endpoint

_LONGEST_WORDS = 200
#: Codes and words of a missing model. The words count only beside "model" or "deployment".
_NO_MODEL_CODES = {"model_not_found", "deploymentnotfound", "model_not_exist", "modelnotfound", "unknown_model", "invalid_model"}
_NO_MODEL = re.compile(
    r"\b(?:model|deployment)s?\b.{0,200}(?:not (?:found|exist|available|served|loaded|supported)|n't exist|does not exist|no such|unknown|not a valid|invalid)|"
    r"(?:no (?:such )?|unknown |invalid |not find (?:the )?)(?:model|deployment)\b|not a valid model",
    re.DOTALL,
)
#: Words of a wrong key with another status than 401.
_NO_KEY_CODES = {"api_key_invalid", "invalid_api_key", "authentication_error", "unauthorized", "invalid_authentication", "unauthenticated"}
_NO_KEY = re.compile(
    r"\bkey\b[^.]{0,20}(?:not valid|invalid|incorrect|expired|revoked)|(?:api|access)[\s_-]?(?:key|token)[^.]{0,40}(?:not valid|invalid|incorrect|wrong|expired|missing|required|not found|disabled|revoked)|"
    r"(?:invalid|incorrect|wrong|expired|missing|no|bad)[^.]{0,20}(?:api|access|x-api)[\s_-]?(?:key|token)|unauthori[sz]ed|invalid authentication"
)


def explain(reply: Reply, endpoint: Endpoint, listing: Listing | None) -> str:
    """Say why a plain request was not answered."""
    status, error = reply.status, told(reply.body)
    words = quoted(error.words, endpoint)
    if status == 0:
        why = "the server does not answer a plain request in time, or breaks off"
    elif 300 <= status < 400:
        why = f"the server redirects ({status}): give its final address"
    elif reply.is_out_of_quota:
        why = f"the account at the provider has no credit or quota left ({status}){_behind(words)}"
    elif reply.is_full:
        why = f"the server is full ({status}): try again later"
    elif status in (401, 403) or (status < 500 and _names_key(error)):
        key = "the key is wrong" if endpoint.api_key else "it requires a key, and none was given"
        # 403 may mean a region or a firewall instead: its words say so.
        why = f"the server denies access ({status}): {key}{_behind(words)}"
    elif status in (400, 404, 422, 500) and _lacks_model(status, error, endpoint, listing):
        why = _no_model(endpoint, listing, words)
    elif status == 404 and listing is None:
        why = f"the server has no chat at this address (404): does {endpoint.url} end in /v1 as it should?"
    else:
        unlisted = listing is not None and bool(listing.models) and listing.find(endpoint.model) is None
        also = f". It does not list {endpoint.model} either{_instead(endpoint, listing)}" if unlisted and listing else ""
        why = f"the server rejects a plain request ({status}){': ' if words else ''}{words}{also}"
    return why


def quoted(text: str, endpoint: Endpoint) -> str:
    """Return words of a server on one short line, without the key."""
    return shown(text, Asked(key=endpoint.api_key), _LONGEST_WORDS)


def _behind(words: str) -> str:
    return f"; it says: {words}" if words else ""


def _names_key(error: Told) -> bool:
    return not _NO_KEY_CODES.isdisjoint(error.codes) or _NO_KEY.search(error.words.lower()) is not None


def _lacks_model(status: int, error: Told, endpoint: Endpoint, listing: Listing | None) -> bool:
    lacks = not _NO_MODEL_CODES.isdisjoint(error.codes)
    if listing is not None and listing.find(endpoint.model) is not None:
        return lacks
    if lacks or _NO_MODEL.search(error.words.lower()):
        return True
    if status == 404 and endpoint.model.casefold() in error.words.casefold():
        return True
    # Where it says nothing, its list does.
    return status != 500 and not error.words and listing is not None and bool(listing.models)


def _no_model(endpoint: Endpoint, listing: Listing | None, words: str) -> str:
    why = f"the server has no model {endpoint.model}"
    if listing is None or not listing.models:
        return f"{why}{_behind(words)}"
    if listing.find(endpoint.model) is not None:
        return f"{why} to answer with, although it lists it; it has: {listing.names()}{_behind(words)}"
    return why + _instead(endpoint, listing)


def _instead(endpoint: Endpoint, listing: Listing) -> str:
    close = listing.close_to(endpoint.model)
    return f"; it has: {listing.names()}{f'. Did you mean {close}?' if close else ''}"
