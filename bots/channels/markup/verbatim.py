"""What people copy letter by letter: addresses, phone codes, file paths. A sign in them is never markup.

While a text is parsed and written, private characters stand for such signs; each takes the place of one, so that nothing moves.
"""

from __future__ import annotations

import re

_SIGNS, _STAND_INS = "*_~\\[]&>", "\ufdd0\ufdd1\ufdd2\ufdd3\ufdd4\ufdd5\ufdd6\ufdd7"
_HIDE, _SHOW = str.maketrans(_SIGNS, _STAND_INS), dict(zip(_STAND_INS, _SIGNS, strict=True))
_HIDDEN = re.compile(f"[{_STAND_INS}]")

#: Two signs for bold or struck out end an address, and so does the border of a link; Chinese punctuation is no part of one.
_REST = r'(?:(?!\*\*|~~|\]\()[^\s<>"`|，。；：！？、（）】》」』“”«»])'
_ADDRESS = (
    rf"(?<![a-z0-9+.-])(?:[a-z][a-z0-9+.-]{{1,20}}://|www\.){_REST}+"
    rf"|(?<![a-z0-9.@/_-])(?:[a-z0-9-]{{1,63}}\.){{1,8}}[a-z]{{2,24}}(?::\d{{1,5}})?/{_REST}*"
)
#: No sign of emphasis works inside of one.
_MAIL = r"(?<![^\W_])(?<![.+-])[^\W_][\w.+-]{0,63}@(?:[^\W_]|-){1,63}(?:\.(?:[^\W_]|-){1,63})+"
#: `*100*23#`, `##002#`, `*#*#4636#*#*`; with the signs of a format around, those are markup and the rest is the code.
_STAR = r"[*\ufdd0]"
_CODE = (
    rf"(?<![\w*#\\\ufdd0])(?:(?P<secret>{_STAR}#{_STAR}#\d{{1,20}}#{_STAR}#{_STAR})"
    r"|(?P<wrap>\*{1,3}|__|_)(?P<wrapped>(?:\*{0,2}#{1,2}|\*{1,2})\d[\w*#+]{0,60}#)(?=(?P=wrap)(?![\w*#]))"
    rf"|(?P<code>(?:{_STAR}{{0,2}}#{{1,2}}|{_STAR}{{1,2}})\d[\w*#+\ufdd0]{{0,60}}#))"
)
#: A backslash that is doubled is Markdown's escape already.
_PATH = r"(?<![\w\\])(?P<path>(?:[a-z]:\\(?!\\)|\\\\(?=[\w.$-]{1,63}\\(?!\\)))[^\s<>\"|*?`]*)"
_COPIED = re.compile(f"{_CODE}|{_PATH}|(?P<address>{_ADDRESS})", re.IGNORECASE)
#: A name of a site alone has no sign in it.
_SITE = r"(?<![a-z0-9.@/_-])(?:[a-z0-9-]{1,63}\.){1,8}(?-i:[a-z]{2,24})(?![\w-])"
_KEPT_WHOLE = re.compile(f"{_CODE}|{_MAIL}|{_ADDRESS}|{_SITE}", re.IGNORECASE)
_MAY_BE_KEPT = re.compile(r"[/@#]|\.[a-z]", re.IGNORECASE)
_MAY_BE_COPIED = re.compile(r"[/@#\\]|www\.", re.IGNORECASE)

#: A piece without spaces that has a sign in it.
_PIECE = re.compile(r"(?<!\S)[^\s*_~\\]*+[*_~\\]\S*")
_SIGN = re.compile(r"(?<!\\)[*_~]")
_LAST_SIGNS = re.compile(r"([*_~]+)[.,;:!?)\]}'\"”’]*\Z")
#: How far before an address a format may have begun that ends with it.
_REACH = 400
_OTHER_ADDRESS = re.compile(r"(?<!\S)\S*(?:://|www\.)\S+(?=\s)")

#: `>5` and `>_<` at the beginning of a line are no quotes.
_NO_QUOTE = re.compile(r"^ {0,3}>(?=\d|[._:;'^-]{1,2}[<(|/\\](?!\w))", re.MULTILINE)
_DEFINITION = re.compile(r"^ {0,3}\[([^\[\]\n]{1,200})\]:", re.MULTILINE)


def hide(markdown: str) -> str:
    """Let stand-ins take the place of all signs that are no markup."""
    if ">" in markdown:
        markdown = _NO_QUOTE.sub(lambda found: found[0].translate(_HIDE), markdown)
    if "]:" in markdown:
        markdown = _with_idle_definitions(markdown)
    return _PIECE.sub(_hide_in_piece, markdown)


def show(text: str) -> str:
    """Put the signs back."""
    return text if text.isascii() else _HIDDEN.sub(lambda found: _SHOW[found[0]], text)


def is_hidden(sign: str) -> bool:
    """Whether a character stands for a sign in something that people copy."""
    return sign in _STAND_INS


def as_sign(sign: str) -> str:
    """Return the sign that a character is or stands for."""
    return _SHOW.get(sign, sign)


def kept_whole(text: str) -> list[tuple[int, int]]:
    """Return where addresses and codes are in a text, in order: a format goes around them and never touches them."""
    return [found.span() for found in _KEPT_WHOLE.finditer(text)] if _MAY_BE_KEPT.search(text) else []


def _hide_in_piece(piece: re.Match[str]) -> str:
    if not _MAY_BE_COPIED.search(piece[0]):
        return piece[0]
    before = piece.string[max(0, piece.start() - _REACH) : piece.start()]
    return _COPIED.sub(lambda found: _hidden(found, before), piece[0])


def _hidden(found: re.Match[str], before: str) -> str:
    if found["wrapped"]:
        return found["wrap"] + found["wrapped"].translate(_HIDE)
    if found["address"] is None:
        return found[0].translate(_HIDE)
    address, after = found[0], ""
    last = _LAST_SIGNS.search(address)
    if last is not None and _ends_format(before + found.string[: found.start()], address[: last.start()], last[1]):
        address, after = address[: last.start()], address[last.start() :]
    return _SIGN.sub(lambda sign: sign[0].translate(_HIDE), address) + after


def _ends_format(before: str, address: str, run: str) -> bool:
    """Whether a run at the end of an address ends a format that began before it, and is no part of the address, as in `/_new_`."""
    sign = re.escape(run)
    if before.endswith(run):
        return True
    if re.search(rf"\W{sign}\w", address):
        return False
    before = _OTHER_ADDRESS.sub("", before) + "x"
    opened = len(re.findall(rf"(?<![^\s(\[{{\"'“«>*_~]){sign}(?=\S)", before))
    return opened > len(re.findall(rf"(?<=[^\s*_~]){sign}(?!\w)", before))


def _with_idle_definitions(markdown: str) -> str:
    """Keep `[label]: words` as text where no link uses the label: it would vanish."""
    folded = _label(markdown)
    labels = [_label(found[1]) for found in _DEFINITION.finditer(markdown)]
    idle = {label for label in set(labels) if folded.count(f"[{label}]") == labels.count(label)}
    return _DEFINITION.sub(lambda found: found[0].translate(_HIDE) if _label(found[1]) in idle else found[0], markdown)


def _label(text: str) -> str:
    return " ".join(text.split()).casefold()
