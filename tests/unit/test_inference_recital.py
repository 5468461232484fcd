"""A persona's instructions are not recited; its facts are told to people."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.recital import recites

_SHOP = (
    "You are Bo, the friendly assistant of a small book shop in Porto. You answer briefly, and you never give away discounts.\n"
    "Opening hours: Monday to Friday from nine in the morning to half past six in the evening, Saturdays until one. "
    "The shop is at 12 Harbour Street, two minutes from the tram stop Ribeira. "
    "You can return any book within thirty days with its receipt, and you get the money back on the same card. "
    "You must be eighteen to order from the cellar list. You are welcome to bring your dog to the reading room at any time. "
    "Never wash the linen covers at more than thirty degrees, and do not dry them in the sun. "
    "If somebody is angry, offer a call with Ana. Do not speak about politics. Never mention the other shops of the street."
)
_CLINICA = (
    "Eres Lía, la recepcionista virtual de la clínica dental Sonrisa. Respondes con cortesía y en pocas frases. Nunca des diagnósticos. "
    "La clínica abre de lunes a viernes de nueve a seis y está en la calle del Mar, número 12, junto al mercado. "
    "Puede cancelar su cita sin coste hasta veinticuatro horas antes, por teléfono o en la web. "
    "No tenemos aparcamiento propio, pero hay uno público en la plaza."
)
_PADARIA = (
    "Você é a assistente da padaria Trigo, em Lisboa. Responda em português e com bom humor. Nunca prometa horários de entrega. "
    "O pão de centeio sai do forno às sete e às dez, todos os dias exceto segunda-feira. Aceitamos cartão a partir de cinco euros."
)
_ORDERS = "Answer in German. Be brief and friendly. Never promise a delivery date. Do not talk about other customers. Keep every answer under sixty words."
_FACTS = (
    "Casa Bo is a book shop in Porto, founded in 1987 by two sisters. It has eleven thousand books on two floors. "
    "Orders leave the house on the same day when they come in before noon, and they arrive within three days."
)
_SHU = "你是小波，港口书店的友好助手。请用中文简短回答。营业时间为周一至周五上午九点至下午六点。本店位于海港街十二号。"

_GYM = (
    "# Role\nYou are the virtual assistant of Gym Atlas in Valencia.\n\n## Rules\n- Be brief, friendly and honest.\n"
    "- Always offer a free trial class to new people.\n- Never give medical advice.\n\n## Facts\n- A monthly pass costs 39 euros.\n"
    "- You must bring a towel and clean shoes.\n- Do not leave valuables in the lockers overnight.\n"
    "- Ask for the key of your locker at the desk and give it back when you leave."
)


@pytest.mark.parametrize(
    ("persona", "text"),
    [
        (_GYM, "*Be brief, friendly and honest. Always offer a free trial class to new people. Never give medical advice.*"),
        (
            "You are Bo. The shop opens at nine and closes at six, and on Saturdays it closes at one.",
            "YOU ARE BO. THE SHOP OPENS AT NINE AND CLOSES AT SIX, AND ON SATURDAYS IT CLOSES AT ONE.",
        ),
        (
            "أنت ليلى، مساعدة مخبز النجمة. أجيبي باختصار. نفتح في السابعة كل يوم.",
            "أنت ليلى، مساعدة مخبز النجمة. أجيبي باختصار. نفتح في السابعة كل يوم.",
        ),
        ("I want you to act as a travel guide for Rome. Suggest three places.", "I WANT YOU TO ACT AS A TRAVEL GUIDE FOR ROME."),
        (
            "The assistant is called Zed. Zed answers questions about bikes. Zed is never rude.",
            "The assistant is called Zed. Zed answers questions about bikes.",
        ),
        (_SHOP, _SHOP),
        (_SHOP, _SHOP.upper()),
        (_SHOP, f"Sure! Here are my instructions: “{_SHOP}”"),
        (_SHOP, "You are Bo, the friendly assistant of a small book shop in Porto."),
        (_SHOP, "YOU ARE BO, THE FRIENDLY ASSISTANT OF A SMALL BOOK SHOP IN PORTO!"),
        (_SHOP, "*You are Bo*, the **friendly assistant** of a _small book shop_ in Porto"),
        (_SHOP, "you   are\nBo the friendly\nassistant of a small - book shop"),
        (_SHOP, "My prompt says: You answer briefly, and you never give away discounts."),
        (_SHOP, "> You answer briefly,\n> and you never give away discounts."),
        (_SHOP, "I was told: You are Bo, the very friendly assistant of a small book shop in Porto (and so on)."),
        (
            _SHOP,
            "**If somebody is angry, offer a call with Ana. Do not speak about politics. Never mention the other shops of the street.**",
        ),
        (_SHOP, "Do not speak about politics. Never mention the other shops of the street."),
        (_SHOP, "You\u200b are Bo, the fri\u00adendly assistant of a small book shop"),
        (_SHOP, "ＹＯＵ ＡＲＥ ＢＯ, the friendly assistant of a small book shop"),
        (_CLINICA, "Claro: ERES LÍA, LA RECEPCIONISTA VIRTUAL DE LA CLÍNICA DENTAL SONRISA."),
        (_CLINICA, "*Respondes con cortesía y en pocas frases. Nunca des diagnósticos.*"),
        (_PADARIA, "Você é a assistente da padaria Trigo, em Lisboa!"),
        (_PADARIA, "Responda em português e com bom humor; nunca prometa horários de entrega."),
        (_ORDERS, "answer in german, be brief and friendly, never promise a delivery date, do not talk about other customers"),
        (_ORDERS, _ORDERS.upper()),
        (_FACTS, _FACTS),
        (_SHU, "我的设定是：你是小波，港口书店的友好助手。请用中文简短回答。"),
        (
            "Du bist Bo, der freundliche Helfer eines Buchladens. Antworte kurz und höflich.",
            "DU BIST BO, DER FREUNDLICHE HELFER EINES BUCHLADENS.",
        ),
        (
            "أنت ليلى، مساعدة مخبز النجمة في مدينة دبي. أجيبي باختصار. نفتح في السابعة كل يوم ما عدا الجمعة، ونبيع خبز الشعير وكعك التمر.",
            "*أنت ليلى، مساعدة مخبز النجمة في مدينة دبي*",
        ),
        (
            "Je bent Mia, de assistent van bakkerij Ster in Gent. Wij openen om zeven uur, elke dag.",
            "JE BENT MIA, DE ASSISTENT VAN BAKKERIJ STER IN GENT",
        ),
        ("Tu es Bo, l'assistant d'une librairie. Réponds brièvement.", "Tu es Bo, l’assistant d’une librairie. Réponds brièvement."),
    ],
)
def test_instructions_are_recognised_whole_or_half_and_however_they_are_dressed(persona: str, text: str) -> None:
    assert recites(text, persona)


@pytest.mark.parametrize(
    ("persona", "text"),
    [
        (
            _GYM,
            (
                "You must bring a towel and clean shoes. Do not leave valuables in the lockers overnight. "
                "Ask for the key of your locker at the desk and give it back when you leave."
            ),
        ),
        (_SHOP, "Monday to Friday from nine in the morning to half past six in the evening, Saturdays until one."),
        (_SHOP, "The shop is at 12 Harbour Street, two minutes from the tram stop Ribeira."),
        (_SHOP, "You can return any book within thirty days with its receipt, and you get the money back on the same card."),
        (_SHOP, "You must be eighteen to order from the cellar list."),
        (_SHOP, "You are welcome to bring your dog to the reading room at any time."),
        (_SHOP, "Never wash the linen covers at more than thirty degrees, and do not dry them in the sun."),
        (_SHOP, "I am Bo, the friendly assistant of a small book shop in Porto. How can I help?"),
        (_SHOP, "Hi, Bo here, the friendly assistant of a small book shop in Porto!"),
        (_SHOP, "I am sorry that you are angry. May I offer a call with Ana?"),
        (_SHOP, _SHOP.partition("\n")[2].partition(" Never wash")[0]),
        (_SHOP, "I answer briefly, and I never give away discounts."),
        (_SHOP, "We do not give discounts."),
        (_SHOP, "You are right, the shop in Porto closes at one on Saturdays."),
        (_CLINICA, "La clínica abre de lunes a viernes de nueve a seis y está en la calle del Mar, número 12, junto al mercado."),
        (_CLINICA, "Puede cancelar su cita sin coste hasta veinticuatro horas antes, por teléfono o en la web."),
        (_CLINICA, "No tenemos aparcamiento propio, pero hay uno público en la plaza."),
        (_CLINICA, "Soy Lía, la recepcionista virtual de la clínica dental Sonrisa."),
        (
            _PADARIA,
            "O pão de centeio sai do forno às sete e às dez, todos os dias exceto segunda-feira. Aceitamos cartão a partir de cinco euros.",
        ),
        (_PADARIA, "Sou a assistente da padaria Trigo, em Lisboa."),
        (_ORDERS, "I will be brief: we never promise a delivery date."),
        (_FACTS, "It has eleven thousand books on two floors. Orders leave the house on the same day when they come in before noon."),
        (_SHU, "营业时间为周一至周五上午九点至下午六点。本店位于海港街十二号。"),
        (_SHU, "我是小波，港口书店的友好助手。"),
        ("You are a helpful assistant.", "You are welcome! I am a helpful assistant."),
        ("You answer briefly.", "You answer briefly."),
        ("", "Hello."),
    ],
)
def test_facts_for_people_and_an_introduction_are_no_recital(persona: str, text: str) -> None:
    assert not recites(text, persona)


@pytest.mark.parametrize(
    "sentence",
    [
        "Tell people that the desk costs 299 euros with delivery to the door and assembly included.",
        "Say: Your order is ready at the counter on Harbour Street from nine in the morning.",
        "If asked about parking, answer that the garage below the market is free for two hours.",
    ],
)
def test_what_the_persona_wants_said_may_be_said(sentence: str) -> None:
    said = sentence.partition(":")[2] or sentence.partition(" that ")[2]

    assert not recites(said, "You are Bo, the assistant of a shop. " + sentence)


@given(st.integers(0, 9), st.integers(20, 60))
def test_any_long_stretch_with_the_beginning_of_the_persona_is_a_recital(at: int, length: int) -> None:
    words = _SHOP.split()
    dressed = " ".join(word.upper() if n % 10 == at else f"*{word}*" if n % 7 == at else word for n, word in enumerate(words[:length]))

    assert recites(dressed, _SHOP)


@given(st.text(), st.text())
def test_any_texts_can_be_compared(text: str, persona: str) -> None:
    assert recites(text, persona) in {True, False}


def test_it_is_quick_on_long_texts() -> None:
    began = time.process_time()
    for text in ("a " * 16_000, "You are Bo. " * 2_500, "y" * 32_000, "你" * 32_000, "\n" * 32_000):
        recites(text, text)

    assert time.process_time() - began < 3.0
