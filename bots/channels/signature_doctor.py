"""Why a webhook's signature does not match, explained to whoever sets an account up. It only reads refused webhooks and accepts none.

Bounded: large bodies are compared as they arrived, without a search for what a proxy may have changed.
"""

from __future__ import annotations

import hmac
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bots.channels.signature import challenge, sign_meta

_HEADER = "x-hub-signature-256"
_OLD_HEADER = "x-hub-signature"
_FORM = re.compile(r"sha256=[0-9a-fA-F]{64}")
#: Meta's webhooks have one to a few kilobytes; anybody could cause a lot of work if larger bodies were searched, too.
_SEARCHED_BYTES = 64 * 1024
_MOST_OTHERS, _MOST_OTHERS_OF_LARGE = 256, 16
#: Written with indentation, deeper ones would become a thousand times as long; the platforms' own have about ten levels.
_SEARCHED_DEPTH = 20
_SEARCHED_OPENINGS = 4000
#: With up to this many spaces, each combination of them is tried as plus signs.
_MOST_SPACES = 8
#: WhatsApp's message ids and digests of pictures are base64, which has plus signs and no spaces.
_BASE64 = re.compile(rb'"(?:wamid\.|sha256":")[A-Za-z0-9+/= ]+"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What is wrong with a refused webhook."""

    #: header_missing, header_malformed, no_secret, other_app, reencoded, plus_as_space, wrong_secret or verify_token.
    code: str
    #: One or two sentences with the fix.
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def diagnose(headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...], others: Mapping[str, str]) -> Diagnosis:
    """Explain why a body was refused. Header names are in lower case; `others` are the secrets of other accounts by name."""
    given = headers.get(_HEADER)
    if given is None:
        return _without_header(headers)
    given = given.strip()
    if not _FORM.fullmatch(given):
        what = "contains an old sha1 signature" if given.lower().startswith("sha1=") else "is not of the form sha256=<64 hex digits>"
        return _say("header_malformed", f"The header X-Hub-Signature-256 {what}. Something on the way shortens or rewrites it.")
    given = given.lower()
    usable = tuple(secret for secret in secrets if secret)
    if not usable:
        return _say("no_secret", "This account has no app secret, so nothing can be checked. Enter the app's secret.")
    is_small = len(body) <= _SEARCHED_BYTES
    near = itertools.islice(others.items(), _MOST_OTHERS if is_small else _MOST_OTHERS_OF_LARGE)
    owner = next((name for name, secret in near if secret and _is_signed(body, secret, given)), None)
    if owner is not None:
        message = (
            f"The webhook is signed with the secret of the account {owner}: it comes from that account's app."
            " Enter that app's secret here, or configure that app to send its webhooks to that account's address."
        )
        return _say("other_app", message)
    if is_small:
        for secret in usable:
            found = _changed_on_the_way(body, secret, given)
            if found is not None:
                return found
    message = (
        "The signature was made with another secret. Compare the app secret with the one in the app's basic settings;"
        " with Instagram login it is the Instagram app's own."
    )
    return _say("wrong_secret", message)


def diagnose_handshake(query: Mapping[str, str], verify_token: str | None) -> Diagnosis:
    """Explain why a handshake was refused."""
    if not verify_token:
        return _say("verify_token", "This account has no verify token, so no handshake can succeed.")
    given = query.get("hub.verify_token")
    if given is None:
        return _say("verify_token", "The handshake arrived without hub.verify_token: something on the way removes or renames it.")
    if challenge({**query, "hub.verify_token": given.replace(" ", "+")}, verify_token) is not None:
        return _say("plus_as_space", "A + in the verify token arrived as a space. Use a verify token of letters and digits only.")
    return _say("verify_token", "The handshake arrived with another verify token. Paste this account's token on the platform's page.")


def _without_header(headers: Mapping[str, str]) -> Diagnosis:
    if _OLD_HEADER in headers:
        return _say(
            "header_malformed",
            "Only the old sha1 signature arrived, without X-Hub-Signature-256. Configure your proxy to forward every header.",
        )
    message = "The webhook arrived without X-Hub-Signature-256. Configure your proxy to forward that header. If it does, the webhook is not from the platform."
    return _say("header_missing", message)


def _changed_on_the_way(body: bytes, secret: str, given: str) -> Diagnosis | None:
    for changed, what in _repaired(body):
        if _is_signed(changed, secret, given):
            message = f"The body was changed on its way: {what}. Configure your proxy to forward the body unchanged."
            return _say("reencoded", message)
    if any(_is_signed(changed, secret, given) for changed in _with_plus(body)):
        message = "A + in the body arrived as a space: something on the way reads it as a form. Configure it to forward the body unchanged."
        return _say("plus_as_space", message)
    return None


def _repaired(body: bytes) -> Iterator[tuple[bytes, str]]:
    """Bodies that the platform may have sent, each with the change that would have led to the one received."""
    yield body + b"\n", "a newline at its end was removed"
    if body != body.rstrip():
        yield body.rstrip(), "a newline was added at its end"
    if body.startswith(b"\xef\xbb\xbf"):
        yield body[3:], "a byte order mark was put before it"
    if body.count(b"[") + body.count(b"{") > _SEARCHED_OPENINGS or _depth(body) > _SEARCHED_DEPTH:
        return
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return
    for is_ascii, spacing, has_slashes, end in itertools.product((True, False), (0, 1, 2), (True, False), ("", "\n")):
        separators = ((",", ":"), (", ", ": "), (",", ": "))[spacing]
        try:
            text = json.dumps(found, ensure_ascii=is_ascii, separators=separators, indent=2 if spacing == 2 else None)
        except (ValueError, RecursionError):
            return
        if has_slashes:
            text = text.replace("/", "\\/")
        try:
            yield (text + end).encode(), "its JSON was rewritten, with other escapes or spaces"
        except UnicodeEncodeError:
            continue


def _depth(body: bytes) -> int:
    """How deep its brackets are nested; those in texts count, too."""
    return max(itertools.accumulate((sign in b"[{") - (sign in b"]}") for sign in body), default=0)


def _with_plus(body: bytes) -> Iterator[bytes]:
    changed = _BASE64.sub(lambda found: found[0].replace(b" ", b"+"), body)
    if changed != body:
        yield changed
    body = changed
    places = [place for place, sign in enumerate(body) if sign == 0x20]
    if not places:
        return
    yield body.replace(b" ", b"+")
    few = places[:_MOST_SPACES] if len(places) <= _MOST_SPACES else []
    choices = itertools.chain.from_iterable(itertools.combinations(few, count) for count in range(1, len(few)))
    for chosen in choices if few else ((place,) for place in places[:256]):
        changed = bytearray(body)
        for place in chosen:
            changed[place] = 0x2B
        yield bytes(changed)


def _is_signed(body: bytes, secret: str, given: str) -> bool:
    return hmac.compare_digest(sign_meta(body, secret).encode(), given.encode())


def _say(code: str, message: str) -> Diagnosis:
    return Diagnosis(code=code, message=message)
