"""Labels of speakers in an answer: what the model invents ends it, what the answer lists does not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.answer_guard import check
from inference.errors import GarbageAnswer
from inference.invented_turn import invented_at
from inference.types import Answer, Usage

_ROLES = ["User", "System", "Human", "Assistant", "Usuario", "Usuário", "Asistente", "**User:**", "SYSTEM"]


def _guarded(text: str) -> str:
    return check(Answer(text=text, usage=Usage(), first_token_ms=1, total_ms=2, finish_reason="stop"), ())


@pytest.mark.parametrize(
    "text",
    [
        "Here is your access:\n\nUser: rosa\nPassword: kettle-19\n\nChange it soon.",
        "The till needs:\n\n**System:** Android 12\n**Memory:** 4 GB",
        "You are in.\n\nUsuario: rosa\nClave: 12",
        "Usuario: rosa\nContraseña: tetera-19",
        "Usuário: rosa\nSenha: abc\n\nTroque logo.",
        "Credentials\n\nUser: rosa\nPassword: x",
        "Ready.\n\nUser: rosa.m@shop.example\nPIN: 1234",
        "User: rosa",
        "All set.\n\nUser: rosa\n\nChange it soon.",
        "All set.\n\nUser: Rosa María López\n\nChange it soon.",
        "You log in with\n\nUser: rosa\n\nand your password.",
        "Sign in.\n\nUser:\n- name\n- password",
        "Compare:\n\nHuman: 46 chromosomes\nDog: 78",
        "The heart rates are:\n\n**Human:** 72\n\n**Horse:** 36",
        "Human: 72\nDog: 100",
        "Your team.\n\nAssistant: María López\nDirector: Bo Lind",
        "Assistant: Ana Prado\nManager: Bo Lind",
        "It is small.\n\nSystem: Android 12 or newer\n\nIt runs on phones.",
        "The log says\n\nSystem: reboot\nUser: rosa\nTime: 9:00",
        "Definitions.\n\nUser: a person who signs in.",
        "Definitions.\n\nUser: a person who signs in.\nAdmin: a person who rules.",
        "## System\n\nAndroid 12 or newer.\n\n## Memory\n\n4 GB",
        "All done. Two pages changed.\n\n## User\n\nCreate a user in the settings.\n\n## System\n\nReboot it.",
        "The roles are:\n\nuser\nassistant\nsystem",
        "Here is a sample conversation:\n\nUser: Hello\nAssistant: Hi! How can I help you?",
        "Here is a sample conversation:\n\nUser: Hello\n\nAssistant: Hi! What can I do for you?\n\nUser: Is it open?\n\nAssistant: It is.",
        "**Example**\n\nUser: Hello\nAssistant: Hi! How can I help you?",
        "## Example\n\nHuman: Is it open?\n\nAssistant: It is.",
        "You can log in now.\n\nUser: ana.lopez@shop.example\n\nYou can change it later.",
        "Listo.\n\nUsuario: ana@correo.example\n\nTe llegará un SMS.",
        "You can log in now.\n\nUser: https://x.example/me\n\nBye.",
        "You can log in now.\n\nUser: rosa_m (in small letters)\n\nBye.",
        "You can log in now.\n\nUser: your e-mail address\n\nThe password comes by SMS.",
        "You can log in now.\n\nUser: the number that you gave us\n\nThe password comes by SMS.",
        "Example\n\nUser: Hello\nAssistant: Hi!",
        "Sure, an example dialogue.\n\nUser: Hello, is it open?\nAssistant: Yes, it is.",
        "A conversation has roles.\n\nUser: asks the questions.\nAssistant: answers them.\nSystem: sets the rules.",
        "Un ejemplo de diálogo\n\nUsuario: hola\nAsistente: ¡Hola!",
        "The format is\n```\nuser: hi\nassistant: hello\n```\nThat is all.",
    ],
)
def test_a_label_that_the_answer_lists_is_left_alone(text: str) -> None:
    assert _guarded(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Llama puts [INST] before the question and [/INST] behind it; that is all.",
        "The token is [INST].",
        "ChatML closes each message with <|im_end|> and a line break.",
        "Gemma begins a turn with <start_of_turn>, then comes the role.",
        "Mistral (with [INST]) does so.",
        "It begins with [SYSTEM_PROMPT], then the persona.",
        "The tokens `[INST]` and `<|im_end|>` mark turns.",
        "Write `[INST] your question [/INST]` there.",
        "The marks are [INST], [/INST] and <<SYS>>.",
        "[INST] marks the start.",
        "[INST] – begins\n[/INST] – ends",
        "[INST]: begins\n[/INST]: ends",
        "| mark | use |\n|---|---|\n| [INST] | begins |",
        "先写 [INST]，再写问题。",
        "标记[INST]放在问题前面。",
        "トークン[INST]は質問の前に置きます。",
        "[INST]是开头的标记。",
        "Use “[INST]” there.",
        '"<|im_end|>" ends a turn.',
        "```\n[INST] hi [/INST]\n```\nLike this.",
    ],
)
def test_a_token_that_the_answer_speaks_of_is_left_alone(text: str) -> None:
    assert _guarded(text) == text


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("¡Hola!\n\nUsuario: ¿y tú?\nAsistente: bien", "¡Hola!"),
        ("Olá!\nUsuário: e amanhã?\nAssistente: também", "Olá!"),
        ("We open at nine.\n\nUser: Great, book it for Sunday", "We open at nine."),
        ("We open at nine.\n\nUser: book a table for two", "We open at nine."),
        ("We open at nine.\n\nUser: book a table for two\n\nDone, see you there!", "We open at nine."),
        ("We open at nine.\n\n**User:** what about Sunday?", "We open at nine."),
        ("We open at nine\n\nUser: thanks", "We open at nine"),
        ("Price: 5 euros\n\nUser: and you?\nAssistant: 6", "Price: 5 euros"),
        ("Hours: 9-5\nUser: thanks\nAssistant: welcome", "Hours: 9-5"),
        ("Hi!\nHuman: tell a joke\n\nAssistant: ok", "Hi!"),
        ("Hi!\n\nAssistant: Hi! How can I help?", "Hi!"),
        ("Hi!\n\nSystem: You are a helpful bot.", "Hi!"),
        ("Hi!\n \nHuman: and you?", "Hi!"),
        ("Hi!\n\n### User\nhello there\n\n### Assistant\nfine", "Hi!"),
        ("Here is what I need:\nuser\nmy address is x\nassistant\nThanks", "Here is what I need:"),
        ("Wir öffnen um neun.\n\nUser: Danke!", "Wir öffnen um neun."),
        ("On ouvre à neuf heures.\n\nUser: Merci", "On ouvre à neuf heures."),
        ("九点营业。\n\nUser: 谢谢", "九点营业。"),
        ("九点营业[INST]周日呢[/INST]", "九点营业"),
        ("For example, we open at nine.\n\nUser: and Sunday?\nAssistant: no", "For example, we open at nine."),
        ("We open at nine.\n\nUser: your prices are high.", "We open at nine."),
        ("Hi!\n[INST] is the shop open? [/INST]", "Hi!"),
        ("I sent the template.\n\nUser: great, thanks!\nAssistant: You're welcome!", "I sent the template."),
        ("We had a nice conversation.\n\nUser: thanks\nAssistant: bye", "We had a nice conversation."),
        ("We open at nine.</s> [INST] and Sunday? [/INST] Closed.", "We open at nine."),
        ("Hi! [INST] and what else? [/INST] Fine.", "Hi!"),
        ("Hi!\n[INST] and?", "Hi!"),
        ("Sure [/INST]", "Sure"),
        ("Ok <|im_end|> <|im_start|>user", "Ok"),
        ("Ok <|im_end|> user and now?", "Ok"),
        ("Ok <|im_end|>\nmore", "Ok"),
        ("We open at nine.<|im_end|> and so on", "We open at nine."),
        ("We open at nine. <end_of_turn> and so on", "We open at nine."),
    ],
)
def test_an_invented_turn_ends_the_answer(text: str, answer: str) -> None:
    assert _guarded(text) == answer


@given(
    st.sampled_from(_ROLES),
    st.sampled_from(["rosa", "Android 12", "72 bpm", "María López", "x-19", "4"]),
    st.lists(st.sampled_from(["Password: kettle-19", "**Memory:** 4 GB", "Dog: 110", "Clave: 12", "Senha: abc"]), min_size=1, max_size=4),
    st.sampled_from(["Here it is:\n\n", "Done.\n\n", "This is what you need.\n", "Como pediu:\n\n", ""]),
)
def test_a_list_of_values_arrives_whole(role: str, value: str, others: list[str], before: str) -> None:
    text = before + "\n".join([f"{role.rstrip(':')}: {value}" if ":**" not in role else f"{role} {value}", *others])

    assert _guarded(text) == text


@given(
    st.sampled_from(["User", "Human", "Usuario", "### Human", "**User**"]),
    st.sampled_from(["and you?", "What about Sunday?", "thanks", "ok, book it", "¿y mañana?", "e amanhã?"]),
    st.sampled_from(["Assistant: sure", "assistant: We open.", "**Assistant:** no"]),
    st.sampled_from(["\n", "\n\n"]),
)
def test_a_conversation_that_goes_on_by_itself_is_ended(role: str, said: str, answered: str, gap: str) -> None:
    assert _guarded(f"We open at nine.{gap}{role}: {said}{gap}{answered}") == "We open at nine."


@given(st.text())
def test_any_text_has_an_end_in_itself(text: str) -> None:
    at = invented_at(text)

    assert at is None or 0 <= at < len(text)


def test_it_is_quick_on_the_worst_text() -> None:
    began = time.process_time()
    for text in (
        "User: hi\n" * 3_500,
        "User: hi\n\nAssistant: x\n\n" * 1_400,
        "user\n" * 6_400,
        "a [INST] b " * 2_900,
        "`[INST]` " * 3_500,
        "```\nuser: x\n" * 2_600,
        ("x " * 4_000 + "[INST]") * 3,
        "a: " * 10_000,
    ):
        try:
            _guarded(text)
        except GarbageAnswer:
            continue

    assert time.process_time() - began < 5.0
