"""Calls of tools are cut out of an answer; JSON, lists, code and words about calls are not touched."""

from __future__ import annotations

import time

import pytest

from inference.answer_guard import check
from inference.errors import GarbageAnswer
from inference.tool_calls import without_calls
from inference.types import Answer, Message, Usage

_CALL = '{"name": "ferry_times", "arguments": {"pier": "north"}}'
#: Each is a call and nothing else.
_CALLS = [
    f"<tool_call>\n{_CALL}\n</tool_call>",
    f"<tool_call>{_CALL}</tool_call>\n<tool_call>{_CALL}</tool_call>",
    f"<tool_call>\n{_CALL}",
    '<tool_call>\n{"name": "ferry_times", "argum',
    f"<TOOL_CALL>{_CALL}</TOOL_CALL>",
    f"<|tool_call|>[{_CALL}]<|/tool_call|>",
    f"<|tool_call_start|>[{_CALL}]<|tool_call_end|>",
    '<|tool_call_start|>[ferry_times(pier="north")]<|tool_call_end|>',
    '<function=ferry_times>{"pier": "north"}</function>',
    "<function=ferry_times>\n<parameter=pier>\nnorth\n</parameter>\n</function>",
    "<tool_call>\n<function=ferry_times>\n<parameter=pier>\nnorth\n</parameter>\n</function>\n</tool_call>",
    "<tool_call>ferry_times\n<arg_key>pier</arg_key>\n<arg_value>north</arg_value>\n</tool_call>",
    '{"type": "function", "name": "ferry_times", "parameters": {"pier": "north"}}',
    '{"type":"function","function":{"name":"ferry_times","arguments":"{\\"pier\\":\\"north\\"}"}}',
    '{"name": "ferry_times", "parameters": {"pier": "north"}}',
    '{"name": "ferry_times", "arguments": {}}',
    '{"name": "ferry_times", "parameters": {"pier": "nor',
    f"{_CALL}; {_CALL}",
    f"{_CALL}\n{_CALL}",
    f"[{_CALL}, {_CALL}]",
    "{'name': 'ferry_times', 'arguments': {'pier': 'north'}}",
    '{"tool": "ferry_times", "tool_input": {"pier": "north"}}',
    '{"function": "ferry_times", "args": {"pier": "north"}}',
    '{"action": "ferry_times", "action_input": "north"}',
    '{"tool_calls": [{"id": "c1", "type": "function", "function": {"name": "ferry_times", "arguments": {}}}]}',
    '{"function_call": {"name": "ferry_times", "arguments": "{}"}}',
    '{"functionCall": {"name": "ferry_times", "args": {"pier": "north"}}}',
    '{"type": "tool_use", "id": "t1", "name": "ferry_times", "input": {"pier": "north"}}',
    '{"recipient_name": "functions.ferry_times", "parameters": {"pier": "north"}}',
    f"<|python_tag|>{_CALL}",
    '<|python_tag|>ferry_times.call(pier="north")',
    '[ferry_times(pier="north")]',
    '[ferry_times(pier="north"), tides(day=1, names=["a", "b"])]',
    "[ferry_times()]",
    '<|python_start|>[ferry_times(pier="north")]<|python_end|>',
    f"[TOOL_CALLS][{_CALL}]",
    f"[TOOL_CALLS] [{_CALL}]</s>",
    '[TOOL_CALLS]ferry_times[ARGS]{"pier": "north"}',
    '[TOOL_CALLS]ferry_times[CALL_ID]a1b2c3d4e[ARGS]{"pier": "north"}',
    '[TOOL_CALLS]ferry_times{"pier": "north"}',
    '```tool_code\nprint(ferry_times(pier="north"))\n```',
    "```tool_code\nprint(ferry_times(",
    f"```tool_call\n{_CALL}\n```",
    f"```json\n{_CALL}\n```",
    f"```\n[{_CALL}]\n```",
    '```python\n[ferry_times(pier="north")]\n```',
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>ferry_times\n```json\n{"pier": "north"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>ferry_times<｜tool▁sep｜>{"pier": "north"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
    ('<｜DSML｜function_calls>\n<｜DSML｜invoke name="ferry_times">\n<｜DSML｜parameter name="pier" string="true">north</｜DSML｜parameter>\n'
    "</｜DSML｜invoke>\n</｜DSML｜function_calls>"),
    ('<|tool_calls_section_begin|><|tool_call_begin|>functions.ferry_times:0<|tool_call_argument_begin|>{"pier": "north"}<|tool_call_end|>'
    "<|tool_calls_section_end|>"),
    '<|channel|>commentary to=functions.ferry_times <|constrain|>json<|message|>{"pier": "north"}<|call|>',
    '<function_calls>\n<invoke name="ferry_times">\n<parameter name="pier">north</parameter>\n</invoke>\n</function_calls>',
    '<invoke name="ferry_times">\n<parameter name="pier">north</parameter>\n</invoke>',
    '<minimax:tool_call>\n<invoke name="ferry_times">\n<parameter name="pier">north</parameter>\n</invoke>\n</minimax:tool_call>',
    f"functools[{_CALL}]",
    f'<tool_call>{_CALL}</tool_call>\n<tool_response>\n{{"time": 7}}\n</tool_response>',
    '<tool_response>\n{"time": 7}\n</tool_response>',
    '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "ferry_times", "parameters": {"pier": "north"}}]<|END_ACTION|>',
    '<|tools_prefix|>[{"ferry_times": {"pier": "north"}}]<|tools_suffix|>',
    '<|tool_call>call:ferry_times{pier:<|"|>north<|"|>}<tool_call|>',
    "<start_function_call>call:ferry_times{pier:north}<end_function_call>",
    '✿FUNCTION✿: ferry_times\n✿ARGS✿: {"pier": "north"}\n✿RESULT✿',
    '<function=ferry_times{"pier": "north"}</function>',
    '<function(ferry_times)>{"pier": "north"}</function>',
    f"<functioncall> {_CALL} </functioncall>",
    f"<longcat_tool_call>{_CALL}</longcat_tool_call>",
    '<function name="ferry_times"><param name="pier">north</param></function>',
    f"Tool call:\n{_CALL}",
    "{'type': 'function', 'name': 'ferry_times', 'parameters': {'pier': \"captain's\", 'day': None}}",
    '{"name": "ferry_times", "parameters": null}',
    'Action: ferry_times\nAction Input: {"pier": "north"}',
    'Thought: I look it up.\nAction: ferry_times\nAction Input: {"pier": "north"}\nObservation: 7',
]  # fmt: skip

_PARTLY = [
    ("<tool_call>" + _CALL + "\nThe ferry leaves at seven.", "The ferry leaves at seven."),
    ('<tool_call name="ferry_times" args={"pier":"north"}/>\nThe ferry leaves at seven.', "The ferry leaves at seven."),
    ("<start_function_call>call:ferry_times{pier:north}<end_function_call>The ferry leaves at seven.", "The ferry leaves at seven."),
    ('The ferry leaves at seven.\n\ncommentary to=functions.ferry_times json{"pier":"north"}', "The ferry leaves at seven."),
    (f"One moment.\n<tool_call>{_CALL}</tool_call>", "One moment."),
    (f"I look it up. {_CALL}", "I look it up."),
    (f"I look it up.\n\n{_CALL}", "I look it up."),
    (f"Let me look:\n{_CALL}", "Let me look:"),
    (f"Ich sehe nach.\n\n```json\n{_CALL}\n```", "Ich sehe nach."),
    ('Un momento.\n```tool_code\nprint(ferry_times(pier="north"))\n```\nSale a las siete.', "Un momento.\nSale a las siete."),
    (f"<tool_call>{_CALL}</tool_call>\nThe ferry leaves at seven.", "The ferry leaves at seven."),
    (f"One moment.\n<tool_call>{_CALL}</tool_call>\n<tool_response>7</tool_response>\nThe ferry leaves at seven.", "One moment.\nThe ferry leaves at seven."),
    (f"{_CALL}\n\nThe ferry leaves at seven.", "The ferry leaves at seven."),
    (f"[TOOL_CALLS][{_CALL}] The ferry leaves at seven.", "The ferry leaves at seven."),
    ('稍等。\n[ferry_times(pier="north")]', "稍等。"),
    ("Thought: look.\nAction: times\nAction Input: {}\nObservation: 7\nFinal Answer: The ferry leaves at seven.", "The ferry leaves at seven."),
    ('Sure!\n<function=ferry_times>{"pier": "north"}</function>', "Sure!"),
    ('Sure!\n<|python_tag|>{"name": "ferry_times", "parameters": {}}', "Sure!"),
]  # fmt: skip

_SPEECH = [
    'ReAct agents write lines like these:\n\nThought: I look it up\nAction: ferry_times\nAction Input: {"pier": "north"}',
    'So sieht ein Aufruf aus:\n\n```json\n{"name": "ferry_times", "arguments": {"pier": "north"}}\n```',
    '{"name": "Ada", "age": 36}',
    '{"name": "Ada", "parameters": ["a", "b"]}',
    '[{"name": "Ada", "age": 36}, {"name": "Bo", "age": 7}]',
    '{"name": "Ada Lovelace", "arguments": {"for": "poetry"}}',
    '{"type": "object", "properties": {"name": {"type": "string"}}}',
    '{"name": "ferry", "parameters": {"pier": "north"}, "price": 7, "currency": "EUR"}',
    'Here you go:\n\n{"name": "Ada", "input": {"x": 1}}',
    "<tools>\nhammer\n</tools>",
    "<tool>hammer</tool>",
    "A menu:\n[soup(hot), salad()]",
    "[Intro]\nla la la\n[Chorus]\nla",
    '{"id": 7, "name": "north"}',
    '{"action": "open", "door": "north"}',
    '```json\n{"name": "Ada", "age": 36}\n```',
    '```json\n{\n  "name": "north",\n  "version": "1.0.0",\n  "scripts": {"test": "x"}\n}\n```',
    f"A function call in OpenAI's format:\n\n```json\n{_CALL}\n```",
    f"The model answers with JSON like this:\n{_CALL}\nand your code runs it.",
    f"Here is an example:\n\n<tool_call>\n{_CALL}\n</tool_call>",
    f"So sieht das Format aus:\n{_CALL}",
    f"You send {_CALL} to the server.",
    "Qwen writes calls between <tool_call> and </tool_call>.",
    "Mistral puts the token [TOOL_CALLS] before a call.",
    "Use `<tool_call>` for that, or `[TOOL_CALLS]`.",
    "- <tool_call>: opens a call\n- </tool_call>: closes it",
    "Llama's <|python_tag|> token opens code.",
    f"```xml\n<tool_call>\n{_CALL}\n</tool_call>\n```",
    "[1, 2, 3]",
    "[x for x in range(3)]",
    "[Point(x=1, y=2), Point(x=3, y=4)]",
    "[a](https://example.org) and [b](https://example.org)",
    "[see chapter 2 (page=7)]",
    "print(ferry_times('north'))",
    "```python\nprint(ferry_times(pier='north'))\n```",
    "```python\nsorted(names, key=len)\n```",
    "```\nplain words\n```",
    "A function call in Python: `open(file='a')`.",
    "[sorted(names, key=len)] is a list with a list in it.",
    "Action: press the button.\nResult: it opens.",
    "Action: open\nReason: it is hot",
    "functools is a module; functools.partial(f, x=1) binds arguments.",
    "{not json}",
    "a {b} c [d] e",
    '{"name": "x"',
    "<table><tr><td>1</td></tr></table>",
    '<invoice name="a">7</invoice>',
    "工具调用写在 <tool_call> 和 </tool_call> 之间。",
    "El token [TOOL_CALLS] abre una llamada.",
]  # fmt: skip


@pytest.mark.parametrize("text", _CALLS)
def test_a_call_is_no_answer(text: str) -> None:
    assert without_calls(text) == ""
    with pytest.raises(GarbageAnswer):
        check(Answer(text=text, usage=Usage(), first_token_ms=1, total_ms=2), ())


@pytest.mark.parametrize(("text", "stays"), _PARTLY)
def test_words_around_a_call_stay(text: str, stays: str) -> None:
    assert without_calls(text) == stays


@pytest.mark.parametrize("text", _CALLS)
def test_words_before_any_call_stay(text: str) -> None:
    assert without_calls(f"One moment.\n\n{text}") == "One moment."


@pytest.mark.parametrize("text", _SPEECH)
def test_what_somebody_may_have_asked_for_is_not_touched(text: str) -> None:
    assert without_calls(text) == text


@pytest.mark.parametrize(
    "text",
    ["<tool_call>" * 3000, "{" * 32_000, "[" * 32_000, '{"name":' * 4000, "[f(" * 10_000, '[f(a="' * 5000, "```json\n" * 4000, '{"name": "a", "arguments": {}}' * 1000,
     "Action: f\n" * 3000, "The <tool_call> tag. " * 1500, "[TOOL_CALLS]" * 2500, "'" * 32_000, '{"name": "' + "\\" * 30_000, "[f(a=1)," * 4000, "Thought: a\n\n" * 2500],
)  # fmt: skip
def test_it_is_quick_on_the_worst_text(text: str) -> None:
    began = time.process_time()
    without_calls(text)

    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    "text", ['{"name": "Conan", "parameters": {"strength": 18}}', '```json\n{"name": "Conan", "arguments": {"strength": 18}}\n```']
)
def test_json_that_was_asked_for_stays(text: str) -> None:
    answer = Answer(text=text, usage=Usage(tokens_in=1, tokens_cached=0, tokens_out=1), first_token_ms=1, total_ms=1)
    asked = [Message(role="system", content="You are Bo."), Message(role="user", content="Give me Conan as JSON.")]

    assert check(answer, asked) == text
    with pytest.raises(GarbageAnswer):
        check(answer, asked[:1])


def test_a_call_in_its_marks_goes_also_where_json_was_asked_for() -> None:
    assert without_calls(f"<tool_call>{_CALL}</tool_call>", json_wanted=True) == ""
