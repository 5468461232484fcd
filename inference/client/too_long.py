"""Whether a server's words mean that a prompt is too long, and the numbers in them. Pure.

The rule: a known code; or words about the prompt, its tokens or the context, together with words of excess, in nine languages; or a limit of tokens that fewer
must be kept to; or a max_tokens of zero or less, which no call of ours asks for: it is what is left of the context. An error about max_tokens alone is none: a
shorter prompt would not mend it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_CODES = re.compile(
    r"context[ _]?length[ _]?exceeded|exceed[ _]context[ _]size|context[ _]?window[ _]?exceeded|contextwindowexceeded|prompt[ _]too[ _](?:long|large)"
    r"|input[ _]too[ _](?:long|large)|request[ _](?:entity[ _])?too[ _]large|tokens[ _]limit[ _]reached|string_above_max_length|context_overflow"
    r"|max_context_length|context[ _]overflow|token_limit_exceeded|prompt_tokens_exceeded|inputtoolong|prompttoolong|\b1261\b"
)
_SUBJECT = (
    r"(?:prompt|input|inputs|context|conversation|messages?|request|tokens?|sequence|n_ctx|num_ctx|max_seq_len|kv[ -]?cache|kv size|history"
    r"|eingabe|anfrage|entrada|entrée|invite|contexte|contexto|mensaje|testo|контекст\w*|запрос\w*|запит\w*|токен\w*|istem|girdi|bağlam\w*|invoer|kontekst\w*|zapytanie"
    r"|indata|kontext\w*|đầu vào|ngữ cảnh|konteks|المدخلات|السياق|इनपुट|संदर्भ)"
)
_EXCESS = (
    r"(?:too (?:long|large|big|many)|exceed\w*|longer than|larger than|greater than|more than|bigger than|over the|overflow\w*|beyond|above|surpass\w*"
    r"|does(?: not|n't) fit|do(?: not|n't) fit|zu lang\w*|zu groß\w*|überschreit\w*|trop long\w*|dépass\w*|demasiado larg\w*|excede\w*|supera\w*|muito long\w*|longo demais"
    r"|troppo lung\w*|слишком длин\w*|занадто довг\w*|перевищ\w*|превы\w*|çok uzun|aşıyor|te lang|overschrijdt|zbyt dług\w*|przekracza|för lång\w*|överskrid\w*|quá dài|vượt quá"
    r"|terlalu panjang|melebihi|يتجاوز|طويل\w*|लंबा)"
)
_TOGETHER = re.compile(rf"\b{_SUBJECT}\b[^.!?\n]{{0,120}}?\b{_EXCESS}|\b{_EXCESS}[^.!?\n]{{0,120}}?\b{_SUBJECT}\b")
_LIMITS = re.compile(
    r"(?:maximum|max|model'?s|model)\s+(?:model|context|prompt|input|sequence)\s*(?:length|window|size|tokens?)?\b[^\n]{0,30}?(?:is|of|:|=)\s*(?:only\s+)?\d"
    r"|maximum (?:context|model|input|prompt) length|maximum (?:prompt|input) (?:length|tokens)"
    r"|context (?:length|window|size)\b[^\n]{0,40}?\bonly\b|tokens?\b[^\n]{0,60}?must(?: be| have)?(?: less than| at most|\s*(?:<=|<|≤))"
    r"|\b(?:inputs?|prompt|tokens?)\b[^\n]{0,40}?(?:must|should|may|can)(?:not)? (?:be |have |not )?(?:less than|fewer than|at most|below|exceed)[^\n]{0,12}?\d[\d,]{2}"
    r"|reduce (?:the|your) (?:length|prompt|message|input|context|number of (?:input )?tokens)|shorten (?:the|your)|(?:shorter|fewer) (?:prompt|input|message)"
    r"|\b(?:prompt|input|context|tokens?)\b[^.\n]{0,40}\d ?(?:>|≥|>=) ?[a-z_ ]*\d{3}"
    r"|range of input length|context size has been exceeded|input length should be"
)
#: What is left of the context for an answer: zero or less, and no range that begins so.
_NONE = r"(?:-\d+|0(?![\d.,]*\d)(?!\s*(?:to|and|-|–|<|≤|\.\.)))"
_NOTHING_LEFT = re.compile(
    rf"max_(?:completion_|new_|output_)?tokens\W{{0,4}}[^\n]{{0,80}}?(?:got|given|received|was|is|:)\s*{_NONE}"
    rf"|(?<![\d.,]){_NONE} is (?:less|smaller|lower) than [^\n]{{0,60}}max_(?:completion_|new_|output_)?tokens"
)
#: Pydantic's words about any value, where they are not about a length.
_VALUE = re.compile(r"\binput should\b(?![^\n]*\b(?:tokens?|length)\b)")
_CHINESE = re.compile(
    "超长|过长|太长|长度超|(?:超过|超出|超限)[^。\n]{0,30}(?:长度|上下文|限制|token|最大)|(?:长度|上下文|token|输入)[^。\n]{0,30}(?:超过|超出|超限)|(?:長度|上下文|輸入)[^。\n]{0,30}(?:超過|超出|過長)|超過[^。\n]{0,30}(?:長度|上下文)|長すぎ|長過ぎ|超えて|초과|너무 깁|너무 길"
)
#: What else is exceeded: "context deadline exceeded" is what programs in Go say of a timeout.
_TIME = re.compile(r"deadline exceeded|time(?:d )?[- ]?out|max(?:imum)? (?:number of )?retries|retries exceeded|time limit")
#: Said of an answer's length alone.
_ANSWER_ALONE = re.compile(r"max_?(?:completion_|new_|output_)?_?tokens|completion tokens|output tokens")
_OF_PROMPT = re.compile(r"prompt|input|context|message|request has|requested|conversation|n_ctx")
#: Limits of other things than tokens.
_OTHERWISE = re.compile(
    r"rate limit|requests per|per (?:day|hour|month)|file size|image|picture|audio|max(?:imum)? \d+ tools|number of (?:tools|messages|images)|metadata|header|stop (?:sequence|word|string)"
)

_NUMBER = r"(\d[\d,_ ]*\d|\d+)"
_SIZES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_NUMBER} (?:tokens )?(?:in|from) the (?:input |prompt )?(?:messages?|prompt|input)",
        rf"passed {_NUMBER} (?:input )?tokens",
        rf"(?:has|have|with|contains?|requested|used|resulted in|got|given:?|length|count) *(?:of|is|was|:|\(|=)? *\(?{_NUMBER} ?(?:input|prompt)? ?tokens",
        rf"{_NUMBER} (?:input|prompt) tokens",
        rf"tokens? count(?: of| is|:)? *\(?{_NUMBER}",
        rf"requested:? *{_NUMBER}",
        rf"(?:given|received):? *{_NUMBER}",
        rf"\({_NUMBER} tokens\)",
        rf"{_NUMBER} tokens? *(?:>|exceed|is longer|are more)",
        rf"(?:prompt|input)[a-z ]*(?:length|size|contains|has|is|of)? *(?:\(length |\(|of |is |has |contains |: ?)?{_NUMBER}",
    )
)
#: Sizes that are only bounds: vLLM stops counting behind its limit.
_BOUNDS = re.compile(rf"(?:at least|more than|over|above) {_NUMBER}|{_NUMBER}\+")
_LIMIT = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:context|model) (?:length|window|size)(?: limit)?(?: is| of|:)? *(?:only )?\(?{_NUMBER}",
        rf"(?:(?:cannot|can't|must not|may not|not) exceed|less than|fewer than|longer than|greater than [a-z_]+) *\(?{_NUMBER}",
        rf"(?:maximum|max|limit|up to|at most|allowed|only|n_ctx|max_seq_len)(?:[a-z_' ]*)(?:is|of|:|=|\(|<=|<)* *\(?(?:only )?{_NUMBER}",
        rf"(?:<=|<|≤|>) *{_NUMBER}",
        rf"{_NUMBER} (?:tokens )?(?:maximum|max\b|limit)",
        rf"\[\d+, ?{_NUMBER}\]",
    )
)


def is_too_long(words: str) -> bool:
    """Whether these words, in small letters, say that the prompt is too long."""
    if _CODES.search(words) or _NOTHING_LEFT.search(words) or _CHINESE.search(words):
        return True
    if _TIME.search(words):
        return False
    words = _VALUE.sub("", words)
    if _OTHERWISE.search(words) and not _OF_CONTEXT.search(words):
        return False
    if _ANSWER_ALONE.search(words) and not _OF_PROMPT.search(_ANSWER_ALONE.sub("", words)):
        return False
    return bool(_TOGETHER.search(words) or _LIMITS.search(words) or ("_" in words and _TOGETHER.search(words.replace("_", " "))))


_OF_CONTEXT = re.compile(r"context|prompt|input (?:tokens|length)")


def numbers_in(words: str, figures: Mapping[str, str]) -> tuple[int, int]:
    """Return the limit and the size of the prompt that the words name, 0 for what they do not.

    Fields count first, then what stands beside the words for a limit or a size; then the largest of the other numbers is the size. A bound is no size.
    """
    if _NOTHING_LEFT.search(words):
        return 0, 0
    limit = _whole(figures.get("nctx") or figures.get("maxcontextlength") or figures.get("contextlength"))
    size = _whole(figures.get("nprompttokens") or figures.get("prompttokens") or figures.get("inputtokens"))
    found = [number for number in map(_whole, re.findall(_NUMBER, words)) if number >= 16]
    limit = limit or next((number for pattern in _LIMIT for one in pattern.findall(words) if (number := _whole(one)) >= 16), 0)
    bounds = {_whole(one or other) for one, other in _BOUNDS.findall(words)}
    beside = [number for pattern in _SIZES for one in pattern.findall(words) if (number := _whole(one)) >= 16 and number != limit]
    if bounds:
        beside = [number for number in beside if number > limit and number not in bounds]
        found = []
    size = size or next(iter(beside), 0) or max((number for number in found if number > limit > 0), default=0)
    if limit and size and size < limit and not re.search(r"messages|passed|input tokens|prompt tokens|request has", words):
        # The two the other way round: a prompt is refused since it is the larger one.
        limit, size = size, limit
    return limit, size


def _whole(told: str | None) -> int:
    digits = re.sub(r"[,_ ]", "", told or "")
    return int(digits) if digits.isdecimal() and len(digits) <= 9 else 0
