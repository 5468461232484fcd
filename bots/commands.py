"""Which messages are commands: the whole message asks the service itself for something. Everything else is left to the model.

A command is written with a slash, and only a wish to stop, or of a person who has stopped to start again, also in plain words. Marks around it, signs
that nobody sees, another case and words of courtesy change nothing. Behind `/stop` a few more words may stand; a question in words is never obeyed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

CommandName = Literal["help", "reset", "stop", "start", "memory", "forget", "why"]
_NAMES = frozenset(get_args(CommandName))

_LONGEST_COMMAND = 300
#: Longer messages in plain words are no bare wish to stop.
_LONGEST_WISH = 80
#: "/stop sending me messages, please" is a wish to stop, a paragraph is not.
_MOST_WORDS_AFTER_STOP = 6

_ALL = frozenset({"all", "everything", "todo", "todos", "tudo"})

#: Letters, digits and marks of the alphabet; all else around a command is decoration: punctuation, quotes, emoji, signs of markup.
_INSIDE = frozenset("LNM")
#: Unseen, though not of a category of their own: variation selectors and fillers.
_UNSEEN = re.compile("[\u034f\u115f\u1160\u180b-\u180e\ufe00-\ufe0f\u20e3]")
#: ASCII in the width of Chinese characters.
_WIDE = {sign + 0xFEE0: sign for sign in range(0x21, 0x7F)}
_SLASHED = re.compile(r"/([A-Za-z]{1,10})(?=\W|_|\Z)(.*)", re.DOTALL)
#: What may stand between a command and the words after it: "/stop, please", not "/stop-motion" and "/help/me".
_BETWEEN = re.compile(r"[^\w\s/'’-]*(?:\s|[,.;:!\u2026](?=\w))", re.DOTALL)
_WORD = re.compile(r"[^\W_]+")
#: The marks that may end or surround the argument of `/forget`.
_AROUND_ARGUMENT = " \t.,;!\u2026\u3002\uff01\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"

#: In the languages of texts.toml. No word that people also answer with ("no", "para", "cancel", "end", "quit", "basta", "salir"), and nothing that could be
#: about something else: sick leave ("de baja"), a waiting list, a subscription of theirs ("cancelar mi suscripción").
_STOP = """
stop; stopall; stop all; stop all messages; stop messaging; stop texting; stop spam; stop the spam; stop this bot; stop promotions; stop messages;
stop the messages; stop messaging me; stop texting me; stop writing to me; stop writing me;
stop sending me messages; stop sending messages; stop contacting me; stop spamming me; unsubscribe; unsubscribe me; unsub; i want to unsubscribe;
opt out; optout; opt me out; i want to opt out; no more messages; i want no more messages; i dont want any more messages; dont message me;
dont message me again; dont message me anymore; dont text me anymore; un subscribe; dont text me; dont text me again; dont write to me again;
do not message me; do not text me; do not contact me; dont contact me;
stop the bot; stop bot; remove me from your list; take me off your list
baja; darme de baja; darse de baja; dar de baja; dame de baja; denme de baja; deme de baja; quiero darme de baja;
parar; pare; paren; detener; detener promociones; detener mensajes; parar promociones; desuscribir; desuscribirme; desuscribirse; desuscribeme;
cancelar suscripcion; cancelar la suscripcion; anular suscripcion; anular la suscripcion; no mas mensajes; no quiero mas mensajes;
no quiero recibir mas mensajes; no quiero recibir mensajes; no me escribas mas; no me escribais mas; dejad de escribirme; no me envie mas mensajes;
no me mande mas mensajes; no me escriban mas; no me escriba mas; no me mandes mas mensajes;
no me manden mas mensajes; no me envies mas mensajes; no me envien mas mensajes; deja de escribirme; dejen de escribirme; deje de escribirme;
deja de mandarme mensajes; dejen de mandarme mensajes; dejen de enviarme mensajes; deja de enviarme mensajes; para de escribirme; no me contacten mas
sair; parem; parar mensagens; parar as mensagens; parar promocoes; descadastrar; descadastre; descadastre me; descadastrar me; parem de me escrever;
parem de me mandar mensagens; me descadastre; quero me descadastrar;
desinscrever; desinscrever me; desinscreva me; cancelar inscricao; cancelar a inscricao; cancelar subscricao; cancelar a subscricao; anular subscricao;
sem mais mensagens; chega de mensagens; nao quero mais mensagens; nao quero receber mensagens; nao quero receber mais mensagens;
nao quero mais receber mensagens; nao me mande mais mensagens; nao me mandem mais mensagens; nao me envie mais mensagens; nao me escreva mais;
nao me escrevam mais; pare de me enviar mensagens; parem de me enviar mensagens;
pare de me mandar mensagens; parem de me mandar mensagens; pare de me escrever; quero parar de receber mensagens
"""
#: Obeyed only from a person who has stopped: anybody else may mean something by them.
_START = "start; unstop; start again; alta; darme de alta; iniciar; empezar; comenzar; comecar; voltar a receber"
#: May stand before and after, in plain words and behind a slash.
_COURTESY = """
please; pls; plz; thanks; thank you; thx; now; ok; okay; hi; hello; hey; just; kindly
por favor; porfa; porfavor; gracias; muchas gracias; ya; ahora; hola; buenas; buenos dias; buenas tardes; vale
obrigado; obrigada; muito obrigado; muito obrigada; agora; ja; oi; ola; bom dia; boa tarde; boa noite; se faz favor; faz favor; pf; pfv
"""
#: With a word for "now" these say that somebody comes down, or goes out: "ya baja", "sair agora".
_MOVES = frozenset({"baja", "sair"})
_NOW = frozenset({"ya", "ahora", "agora", "ja", "now"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A whole message that asks the service itself for something."""

    name: CommandName
    argument: str | None = None

    @property
    def is_everything(self) -> bool:
        """`/forget all`, in any of the languages."""
        return self.argument is not None and self.argument.casefold() in _ALL

    @property
    def number(self) -> int | None:
        """The number in the list of `/memory` that `/forget 2` means."""
        plain = self.argument is not None and self.argument.isascii() and self.argument.isdigit() and len(self.argument) <= 4
        return int(self.argument) if plain and self.argument is not None else None


def parse_command(text: str | None, *, stopped: bool = False) -> Command | None:
    """Return the command if the whole message is one, else None. stopped: the person who writes has stopped the answers."""
    if not text or not _may_be(text):
        return None
    seen = _seen(text)
    slashed = _SLASHED.match(seen.lstrip(_decoration(seen))) if "/" in seen else None
    name = slashed[1].lower() if slashed else ""
    if slashed and name in _NAMES:
        return _slashed(cast("CommandName", name), slashed[2])
    if _asks(seen):
        return None
    words = _words(seen)
    if _is_only(words, _STOPS) and not _is_move(words):
        return Command(name="stop")
    return Command(name="start") if stopped and _is_only(words, _STARTS) else None


def is_command(text: str | None) -> bool:
    """Whether a whole message is a command, which is answered without waiting for more messages."""
    return parse_command(text) is not None


def _slashed(name: CommandName, rest: str) -> Command | None:
    """Read what stands behind the name of a command."""
    if not any(_is_inside(sign) for sign in rest):
        return Command(name=name) if "/" not in rest else None
    if _BETWEEN.match(rest) is None:
        return None
    if name == "forget":
        argument = rest.strip(_AROUND_ARGUMENT + "\n\r:")
        return Command(name=name, argument=argument) if "\n" not in argument else None
    words = _words(rest)
    if _is_courtesy(words):
        return Command(name=name)
    is_wish = name == "stop" and len(words) <= _MOST_WORDS_AFTER_STOP and "/" not in rest and not _asks(rest)
    return Command(name=name) if is_wish else None


def _may_be(text: str) -> bool:
    """Whether a text is worth a closer look. Every message that comes in is asked this, and all but a few are not."""
    if len(text) > _LONGEST_WISH and (("/" not in text and "\uff0f" not in text) or len(text) > _LONGEST_COMMAND):
        return False
    if not text.isascii():
        return True
    first = _WORD.search(text)
    return first is not None and (first[0].lower() in _FIRSTS or "/" in text[: first.start()])


def _seen(text: str) -> str:
    """Return what a reader sees of a text: signs in their usual width and form, without unseen ones."""
    if text.isascii():
        return text
    text = _UNSEEN.sub("", unicodedata.normalize("NFC", text).translate(_WIDE))
    if text.isprintable():
        return text
    return "".join(" " if sign.isspace() and sign != "\n" else sign for sign in text if sign.isspace() or sign.isprintable())


def _decoration(text: str) -> str:
    """The signs of a text that may stand before a slash."""
    return "".join({sign for sign in text if sign != "/" and not _is_inside(sign)})


def _is_inside(sign: str) -> bool:
    return unicodedata.category(sign)[0] in _INSIDE


def _asks(text: str) -> bool:
    return any(mark in text for mark in "?\u00bf\u061f")


def _words(text: str) -> tuple[str, ...]:
    """The words of a text, in lower case and without accents and apostrophes."""
    if not text.isascii():
        text = "".join(sign for sign in unicodedata.normalize("NFD", text) if not unicodedata.combining(sign))
    return tuple(_WORD.findall(text.replace("'", "").replace("\u2019", "").lower()))


def _is_only(words: Sequence[str], phrases: frozenset[tuple[str, ...]]) -> bool:
    """Whether the words are phrases of this list and courtesy, and nothing more."""
    at, found = 0, False
    while at < len(words):
        length, is_phrase = _longest(words, at, phrases)
        if not length:
            return False
        at, found = at + length, found or is_phrase
    return found


def _is_move(words: Sequence[str]) -> bool:
    return not (_MOVES.isdisjoint(words) or _NOW.isdisjoint(words) or "de" in words)


def _is_courtesy(words: Sequence[str]) -> bool:
    return _is_only(words, _COURTESIES)


def _longest(words: Sequence[str], at: int, phrases: frozenset[tuple[str, ...]]) -> tuple[int, bool]:
    """How many words the longest phrase or courtesy has that begins here, and whether it is one of the phrases."""
    for length in range(min(_MOST_WORDS, len(words) - at), 0, -1):
        part = tuple(words[at : at + length])
        if part in phrases or part in _COURTESIES:
            return length, part in phrases
    return 0, False


def _phrases(text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(tuple(phrase.split()) for line in text.strip().splitlines() for phrase in line.split(";") if phrase.strip())


_STOPS, _STARTS, _COURTESIES = _phrases(_STOP), _phrases(_START), _phrases(_COURTESY)
_MOST_WORDS = max(len(phrase) for phrase in _STOPS | _STARTS | _COURTESIES)
#: With the halves of words that an apostrophe divides.
_FIRSTS = frozenset(phrase[0] for phrase in _STOPS | _STARTS | _COURTESIES) | {"don"}
