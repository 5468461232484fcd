"""What a refusal means, by status and words, for every client of a model server: one classifier for responses and for error events. Pure.

The order of its questions, of which the first yes counts: a redirect; a wrong key or address; no credit or quota; content that is filtered; a prompt that is too
long; a full server; a broken one; else a refused request. Words decide where a status has several meanings. They are looked for in the error's own fields only, without
what it repeats of the prompt, so that nobody's message can pass for an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from inference.client.shown import Asked, shown, without_prompt
from inference.client.told import Told, told, told_in
from inference.client.too_long import is_too_long, numbers_in
from inference.client.waits import MOST_BUSY_S, MOST_QUOTA_S, wait_of
from inference.errors import ContentFiltered, ModelBusy, ModelRefused, ModelUnavailable, OutOfQuota, PromptTooLong

#: How much of an error's body is read to find out its kind.
ERROR_BODY_BYTES = 64 * 1024
_NOBODY = Asked()
#: Statuses about the key or the address, whatever the words.
_KEY_OR_ADDRESS = frozenset({401, 404, 405, 407, 410, 501})
#: llama.cpp answers 500 to a picture that its model cannot read.
_NO_VISION = re.compile(
    r"image input is not supported|(?:does not|doesn't|cannot|can't) (?:support|accept|process|read) (?:image|picture|vision)|not a multimodal model"
)
_FILTERED = re.compile(
    r"content[ _-]?(?:is )?filter|content_?policy|contentpolicyviolation|policy[ _]violation|responsibleaipolicy|data_?inspection_?failed|content exists risk"
    r"|exists risk|high risk|\b1301\b|safety(?!_identifier)|\bunsafe\b|moderation|guardrail|content management policy|prohibited[ _]content|blocklist|usage (?:policy|policies|guidelines)"
    r"|(?:content|acceptable use|use|responsible ai) polic(?:y|ies)|content (?:violat|security|risk)|recitation|new_sensitive|input_sensitive|output_sensitive|jailbreak"
    r"|llama[ _-]?guard|prompt[ _-]?(?:injection|shield|attack)|legal reasons|not safe\b"
    r"|inhaltsfilter|inhaltsrichtlini|nutzungsrichtlini|filtre de contenu|politique (?:de contenu|d[’']utilisation)|filtros? de (?:contenido|conteúdo)|filtro (?:dei )?contenuti"
    r"|política(?:s)? de (?:contenido|conteúdo|uso)|фильтр\w* (?:контента|содержимого)|политик\w* (?:контента|использования)|içerik (?:filtresi|politikası)"
    r"|敏感|违规|不合规|违反|内容安全|不安全|审核|內容(?:安全|過濾|政策)|コンテンツ(?:フィルタ|ポリシー)|不適切|콘텐츠 ?(?:정책|필터)|부적절"
    r"|(?:content|prompt|input|output|message|text|answer|response|completion)\b[^.\n]{0,60}\b(?:flagged|blocked|filtered|inappropriate|unsafe|harmful|(?<!case[ -])sensitive|disallowed|offensive)"
    r"|(?:flagged|blocked|filtered|inappropriate|harmful|(?<!case[ -])sensitive|offensive)\b[^.\n]{0,60}\b(?:content|prompt|input|output|message|text|response)"
)
#: Said of the operator's account, not of a message.
_ACCOUNT = re.compile(
    r"\b(?:account|organi[sz]ation|api[ _-]?key|team|project|subscription)\b[^.\n]{0,60}\b(?:terminated|suspended|deactivated|disabled|banned|blocked|restricted|flagged|revoked)\b"
    r"|\b(?:terminated|suspended|deactivated|banned|revoked)\b|\b(?:country|region|territory)\b"
)
#: What is said of money where none is lacking.
_NO_LACK = re.compile(r"\b(?:no|not)\b[^.\n]{0,20}\bcredits?\b[^.\n]{0,20}\b(?:charged|used|deducted|consumed)")
_MONEY = re.compile(
    r"insufficient[ _]?(?:\w+?[ _])?(?:quota|balance|credit|fund)|billing|\bcredits?\b|\bbalance\b|payment|arrear|top[ -]?up|recharge|spend(?:ing)?[ _](?:limit|cap)"
    r"|hard[ _]limit|prepaid|can only afford|over budget|budget[^.\n]{0,20}exceeded|exceededbudget|key limit|run out of (?:tokens|credits?)|trial (?:has )?(?:expired|ended)|exceeded_current_quota|out of (?:quota|credit)|no (?:quota|credit)|欠费|余额|额度|充值"
)
_QUOTA = re.compile(r"quota|allowance|usage[ _]limit|plan limit|free tier|allocated")
_SHORTLY = re.compile(r"per[ _-]?(?:min|sec)|perminute|persecond|/ ?min|\b[rt]p[ms]\b|concurren|a minute|a second|throttl")
_LONG = re.compile(r"per[ _-]?(?:day|week|month|hour)|per(?:day|week|month)|daily|weekly|monthly|\b[rt]pd\b|/ ?(?:day|week|month)|a day")
_BUSY = re.compile(
    r"serviceunavailableerror(?!:)|in flight|loading (?:the )?model|(?:is|still|currently) (?:un)?loading|being (?:un)?loaded|no slot|slow[ _]down|\bbusy\b|queue is full|overload|too many (?:concurrent )?requests|rate[ _-]?limit|throttl"
    r"|(?:over|at|no|out of|insufficient|exceeded?|limited)[ _](?:\w+ ){0,2}capacity|capacity[ _](?:has been )?(?:exceeded|reached|limit)|try again (?:later|in)|come again later|server is full|max_concurren|concurrency"
    r"|繁忙|过载|负载|限流|频率|请求过多|并发"
)
_REQUEST_TOO_LARGE = re.compile(r"request (?:too large|is too large)")
#: Said of the server or its model, whatever the status: LM Studio answers 400 for a model that crashed.
_BROKEN = re.compile(
    r"\b(?:crashed|(?:model|has) (?:been )?unloaded|out of memory|engine (?:is )?(?:dead|gone)|process (?:died|exited)|internal server error)\b"
)
#: The least wait after which a quota is filled again by itself, so that it is not fullness.
_SOON_S = 120.0


def refusal(status: int, headers: Mapping[str, str], body: bytes, asked: Asked = _NOBODY) -> ModelUnavailable | ModelRefused:
    """Return the error that a response means which is no answer. Header names are in lower case, or the mapping ignores case.

    `asked` is what was sent: nothing of it is in the error's words.
    """
    error = _unechoed(told(body), asked)
    return _saying(_meaning(status, headers, error, asked), error, asked)


def event_error(event: dict[str, Any], asked: Asked = _NOBODY, *, has_begun: bool = False) -> ModelUnavailable | ModelRefused:
    """Return what an error event means: the server sent the status 200 before it knew of the error."""
    return _within(_unechoed(told_in(event), asked), asked, "the model server failed while it answered", has_begun=has_begun)


def broken_off(words: bytes, asked: Asked = _NOBODY, *, has_begun: bool = False) -> ModelUnavailable | ModelRefused:
    """Return the error of an answer that stops without an end. `words` is what came and was not understood."""
    what = "the model server stopped in the middle of its answer" if has_begun else "the model server's answer is no completion"
    return _within(_unechoed(told(words), asked), asked, what, has_begun=has_begun)


def is_full(status: int, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the server is only overloaded."""
    return type(refusal(status, headers, body)) is ModelBusy


def _unechoed(error: Told, asked: Asked) -> Told:
    """Leave out codes that stand in what was sent, and in JSON that is repeated of it."""
    echoed = {code for code in error.quoted if any(code in text.lower() for text in asked.texts)}
    error.codes = [code for code in error.codes if code not in echoed]
    return error


def _within(error: Told, asked: Asked, what: str, *, has_begun: bool) -> ModelUnavailable | ModelRefused:
    """What words mean that came with the status 200: mostly a plain failure. A request is not refused once its answer has begun."""
    meaning = None if error.is_page or not (error.words or error.status) else _meaning(error.status or 200, {}, error, asked)
    is_plain = type(meaning) is ModelUnavailable or (type(meaning) is ModelRefused and (has_begun or not error.status))
    return _saying(ModelUnavailable(what) if meaning is None or is_plain else meaning, error, asked)


def _saying(error: ModelUnavailable | ModelRefused, told: Told, asked: Asked) -> ModelUnavailable | ModelRefused:
    error.said = shown(told.words, asked)
    return error


def _meaning(  # noqa: PLR0911 - one return for each kind
    status: int, headers: Mapping[str, str], told: Told, asked: Asked
) -> ModelUnavailable | ModelRefused:
    message = without_prompt("\n".join(told.sentences), asked.texts).lower()
    words = "" if told.is_page else " ".join((*told.codes, *told.fields, message))
    wait = wait_of(headers, told.figures, words)
    if 300 <= status < 400:
        return ModelRefused(f"the model server redirects ({status}): set its final address")
    if _NO_VISION.search(words):
        return ModelRefused(f"the model takes no pictures ({status})")
    if status in _KEY_OR_ADDRESS:
        return ModelRefused(f"the model server rejects the request ({status})")
    if _is_quota(status, words, wait):
        return _waiting(OutOfQuota(f"the account at the model server has no credit or quota left ({status})"), min(wait, MOST_QUOTA_S))
    if status not in (408, 429, 502, 503, 504) and _FILTERED.search(words) and not _ACCOUNT.search(words):
        return ContentFiltered(f"the model server will not answer these words ({status})")
    if _is_too_long(status, words):
        error = PromptTooLong(f"the prompt is too long for the model ({status})")
        error.limit, error.size = numbers_in(message, told.figures)
        return error
    if _is_busy(status, headers, words):
        return _waiting(ModelBusy(f"the model server is full ({status})"), min(wait, MOST_BUSY_S))
    if status >= 500 or status in (408, 409, 424, 425, 498, 499) or status < 300 or _BROKEN.search(words):
        return ModelUnavailable(f"the model server failed ({status})")
    return ModelRefused(f"the model server rejects the request ({status})")


def _is_quota(status: int, words: str, wait: float) -> bool:
    """Whether the account is used up for longer than a moment. A limit a minute is fullness, whatever it is called."""
    if status == 402:
        return True
    if status in (408, 413, 422) or (status >= 500 and status != 529):
        return bool(re.search(r"insufficient[ _](?:\w+?_)?quota|exceeded_current_quota|insufficient[ _]balance|额度不足", words))
    if "insufficient_quota" in words:
        return True
    words = _NO_LACK.sub("", words)
    # Gemini names some seconds to wait also where a day's quota is used up.
    is_soon = 0 < wait <= _SOON_S and not (_MONEY.search(words) and _LONG.search(words))
    if _SHORTLY.search(words) or is_soon:
        return False
    if status == 498 and not words:
        return True
    return bool(_MONEY.search(words) or _QUOTA.search(words) or (_LONG.search(words) and "limit" in words))


def _is_too_long(status: int, words: str) -> bool:
    if status == 413:
        return True
    if status == 429:
        # A single request above what a minute allows: no waiting helps.
        return bool(_REQUEST_TOO_LARGE.search(words))
    return status not in (403, 408, 502, 504, 529) and is_too_long(words)


def _is_busy(status: int, headers: Mapping[str, str], words: str) -> bool:
    """Whether the server is only overloaded: a 503 may come from a full model server, or from a proxy in front of a dead one.

    A full model server says so in the error, or says when to try again. Any other 503 may come from a gateway whose engine is gone; if that
    counted as full, it would be asked for ever.
    """
    if status in (429, 529) or (status == 503 and "retry-after" in headers):
        return True
    return status in (200, 400, 403, 498, 500, 503) and bool(_BUSY.search(words))


def _waiting(error: ModelBusy | OutOfQuota, wait_s: float) -> ModelBusy | OutOfQuota:
    error.retry_after_s = wait_s
    return error
