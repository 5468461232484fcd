"""Thoughts are cut out of an answer in every form, and an answer that speaks of their marks is not touched."""

from __future__ import annotations

import time

import pytest

from inference.thoughts import FORMS, learned, without_thoughts

#: Raw answer, what stays, and the form that it shows.
THINKING = [
    ("<think>- They ask.\n- Seven?</think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("[think]They ask.[/think]The ferry leaves at seven.", "The ferry leaves at seven.", "brackets"),
    ("<\uff5cbegin\u2581of\u2581thinking\uff5c>They ask.<\uff5cend\u2581of\u2581thinking\uff5c>The ferry leaves at seven.", "The ferry leaves at seven.", "barred"),
    ("<internal_monologue>They ask.</internal_monologue>The ferry leaves at seven.", "The ferry leaves at seven.", "thought"),
    ("<self_reflection>They ask.</self_reflection>The ferry leaves at seven.", "The ferry leaves at seven.", "thinking"),
    ("<ThinkingProcess>They ask.</ThinkingProcess>The ferry leaves at seven.", "The ferry leaves at seven.", "thinking"),
    ("<internal_reasoning>They ask.</internal_reasoning>The ferry leaves at seven.", "The ferry leaves at seven.", "reasoning"),
    ("<思维链>他们问时间。</思维链>渡轮七点开。", "渡轮七点开。", "think"),
    ("analysis\nThey ask.\nassistantfinalThe ferry leaves at seven.", "The ferry leaves at seven.", "harmony"),
    ("<think>They ask for times.</think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think>\nThey ask for times.\n</think>\n\nThe ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("They ask for times, keep it short.\n</think>\n\nThe ferry leaves at seven.", "The ferry leaves at seven.", "opened-think"),
    ("They ask </think> The ferry leaves at seven.", "The ferry leaves at seven.", "opened-think"),
    ("</think>\n\nThe ferry leaves at seven.", "The ferry leaves at seven.", "opened-think"),
    ("They ask.\nThe answer, in JSON format:\n</think>\nThe ferry leaves at seven.", "The ferry leaves at seven.", "opened-think"),
    ("<thinking>They ask for times.</thinking>\nThe ferry leaves at seven.", "The ferry leaves at seven.", "thinking"),
    ("<antThinking>They ask.</antThinking>\nThe ferry leaves at seven.", "The ferry leaves at seven.", "thinking"),
    ("<thought>\nThey ask for times.\n</thought>\nThe ferry leaves at seven.", "The ferry leaves at seven.", "thought"),
    ("They ask for times.\n</thought>\nThe ferry leaves at seven.", "The ferry leaves at seven.", "opened-thought"),
    ("<inner_monologue>They ask.</inner_monologue>\nThe ferry leaves at seven.", "The ferry leaves at seven.", "thought"),
    ("<reasoning>They ask for times.</reasoning>\n\nThe ferry leaves at seven.", "The ferry leaves at seven.", "reasoning"),
    ("<thinking>Ask?</thinking><reflection>Yes.</reflection><output>The ferry leaves at seven.</output>", "The ferry leaves at seven.", "thinking"),
    ("<scratchpad>They ask.</scratchpad>\nThe ferry leaves at seven.", "The ferry leaves at seven.", "scratchpad"),
    ("<seed:think>They ask.</seed:think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<longcat_think>\nThey ask.\n</longcat_think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("[THINK]They ask for times.[/THINK]The ferry leaves at seven.", "The ferry leaves at seven.", "brackets"),
    ("They ask for times.[/THINK]The ferry leaves at seven.", "The ferry leaves at seven.", "opened-brackets"),
    ("[think]They ask.[/think]\nThe ferry leaves at seven.", "The ferry leaves at seven.", "brackets"),
    ("<THINK>They ask.</THINK>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<Think>They ask.</Think>\nThe ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("< think >They ask.</ think >The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ('<think type="deep" budget="2">They ask.</think>The ferry leaves at seven.', "The ferry leaves at seven.", "think"),
    ("＜think＞They ask.＜/think＞The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<｜think｜>They ask.<｜/think｜>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<|think|>They ask.<|/think|>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("&lt;think&gt;They ask.&lt;/think&gt;The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<|think|>They ask.<|end|><|begin|>assistant<|content|>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("◁think▷They ask.◁/think▷The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("They ask.◁/think▷The ferry leaves at seven.", "The ferry leaves at seven.", "opened-think"),
    ("<|START_THINKING|>They ask.<|END_THINKING|><|START_RESPONSE|>The ferry leaves at seven.<|END_RESPONSE|>", "The ferry leaves at seven.", "barred"),
    ("They ask.<|END_THINKING|><|START_RESPONSE|>The ferry leaves at seven.", "The ferry leaves at seven.", "opened-barred"),
    ("<|begin_of_thought|>\nThey ask.\n<|end_of_thought|>\n\n<|begin_of_solution|>\nThe ferry leaves at seven.\n<|end_of_solution|>",
     "The ferry leaves at seven.", "barred"),
    ("<|inner_prefix|>They ask.<|inner_suffix|>The ferry leaves at seven.", "The ferry leaves at seven.", "apertus"),
    ("<|channel>thought\nThey ask.\n<channel|>The ferry leaves at seven.", "The ferry leaves at seven.", "gemma"),
    ("<|channel>thought\n<channel|>The ferry leaves at seven.", "The ferry leaves at seven.", "gemma"),
    ("<|im_start|>think\nThey ask.\n<|im_start|>answer\nThe ferry leaves at seven.", "The ferry leaves at seven.", "s1"),
    ("<think>\nThey ask.\n</think>\n<answer>\nThe ferry leaves at seven.\n</answer>", "The ferry leaves at seven.", "think"),
    ("<think>\nThey ask.\n</think>\n\n<response>\nThe ferry leaves at seven.\n</response>\n", "The ferry leaves at seven.", "think"),
    ("Here is my thought process:\nThey ask.\n\nHere is my response:\nThe ferry leaves at seven.", "The ferry leaves at seven.", "granite"),
    ("Here's my thought process: They ask.\nHere's my response: The ferry leaves at seven.", "The ferry leaves at seven.", "granite"),
    ("Here are my reasoning steps:\nThey ask.\n[BEGIN FINAL RESPONSE]\nThe ferry leaves at seven.\n[END FINAL RESPONSE]",
     "The ferry leaves at seven.", "apriel"),
    ("## Thinking\n\nThey ask.\n\n## Final Response\n\nThe ferry leaves at seven.", "The ferry leaves at seven.", "headings"),
    ('<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 seconds</summary>\n> They ask.\n</details>\nThe ferry leaves at seven.',
     "The ferry leaves at seven.", "details"),
    ("<|channel|>analysis<|message|>They ask.<|end|><|start|>assistant<|channel|>final<|message|>The ferry leaves at seven.",
     "The ferry leaves at seven.", "harmony"),
    (("<|start|>assistant<|channel|>analysis<|message|>They ask.<|end|><|start|>assistant<|channel|>commentary<|message|>I will look.<|end|>"
     "<|start|>assistant<|channel|>final<|message|>The ferry leaves at seven.<|return|>"), "The ferry leaves at seven.<|return|>", "harmony"),
    (("<|channel|>commentary to=functions.times <|constrain|>json<|message|>{}<|call|><|start|>assistant<|channel|>final <|constrain|>text<|message|>"
     "The ferry leaves at seven."), "The ferry leaves at seven.", "harmony"),
    ("<|channel|>final<|message|>The ferry leaves at seven.", "The ferry leaves at seven.", "opened-harmony"),
    ("analysisThey ask.assistantfinalThe ferry leaves at seven.", "The ferry leaves at seven.", "harmony"),
    ("analysis用户问时间。assistantfinal渡轮七点开。", "渡轮七点开。", "harmony"),
    ("analysisThey ask.assistantcommentary to=functions.times json{}assistantfinalThe ferry leaves at seven.", "The ferry leaves at seven.", "harmony"),
    ("assistantanalysisThe user asks.\nassistantfinalThe ferry leaves at seven.", "The ferry leaves at seven.", "harmony"),
    ("commentaryI look it up.assistantfinalThe ferry leaves at seven.", "The ferry leaves at seven.", "harmony"),
    ("Sure!\n<think>They ask.</think>\nThe ferry leaves at seven.", "Sure!\n\nThe ferry leaves at seven.", "think"),
    ("Sure! <think>They ask.</think> The ferry leaves at seven.", "Sure! The ferry leaves at seven.", "think"),
    ("The ferry <think>when? seven?</think> leaves at seven.", "The ferry leaves at seven.", "think"),
    ("The ferry leaves at seven.\n\n<think>Is that right? Yes.</think>", "The ferry leaves at seven.\n\n", "think"),
    ("<think>\n\n</think>\n\n<think>Times.</think>\n\nThe ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think>one</think>\n<think>two: notes say seven</think>\nThe ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think></think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think/>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think>a <think>b</think> c</think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think>They name the <think> tag.</think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think>The `</think>` tag ends it.</think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think>What is the </think> tag for?</think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think>they ask </think> the ferry leaves at seven", "the ferry leaves at seven", "think"),
    ("<think>The ferry leaves at seven.</think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think>```python\nprint(7)\n</think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("```python\nfirst = 7\n<think>Is that right?</think>\nlast = 9\n```", "```python\nfirst = 7\n\nlast = 9\n```", "think"),
    ("Answer: <think> they want times, and the notes say seven </think> The ferry leaves at seven.", "The ferry leaves at seven.", "opened-think"),
    ("<think> is the ferry at seven? </think> The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think>Hm, the XML tag </think> The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<|im_start|>assistant\n<think>They ask.</think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<|assistant|><think>They ask.</think>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<think>They ask.</thinking>The ferry leaves at seven.", "The ferry leaves at seven.", "think"),
    ("<reasoning_content>They ask.</reasoning_content>The ferry leaves at seven.", "The ferry leaves at seven.", "reasoning"),
    ("<internal_thoughts>They ask.</internal_thoughts>The ferry leaves at seven.", "The ferry leaves at seven.", "thought"),
    ("[REASONING]They ask.[/REASONING]The ferry leaves at seven.", "The ferry leaves at seven.", "brackets"),
    ("<|think_start|>They ask.<|think_end|>The ferry leaves at seven.", "The ferry leaves at seven.", "barred"),
    ("<思考>他们问时间。</思考>渡轮七点开。", "渡轮七点开。", "think"),
    ("<unused94>thought\nThey ask.<unused95>The ferry leaves at seven.", "The ferry leaves at seven.", "gemma"),
    ("Here is the response:\n\n<think>\nThey ask.\n</think>\n\nSeven.", "Here is the response:\n\nSeven.", "think"),
    ("Let me see.\n<final>The ferry leaves at seven.</final>", "The ferry leaves at seven.", ""),
    ("<think>Preguntan la hora.</think>El ferri sale a las siete.", "El ferri sale a las siete.", "think"),
    ("用户问时间。\n</think>\n\n渡轮七点开。", "渡轮七点开。", "opened-think"),
    ("渡轮<think>用户问的是时间</think>七点开。", "渡轮七点开。", "think"),
    ("<think>يسألون عن الوقت.</think>العبارة تغادر في السابعة.", "العبارة تغادر في السابعة.", "think"),
    ("<think>時間を聞いている。</think>フェリーは七時に出ます。", "フェリーは七時に出ます。", "think"),
    ("<think>वे समय पूछ रहे हैं।</think>नाव सात बजे जाती है।", "नाव सात बजे जाती है।", "think"),
    ("<final>We close at seven.</final>", "We close at seven.", ""),
    ("<answer>\nWe close at seven.\n</answer>\n", "We close at seven.", ""),
    ("<|START_RESPONSE|>We close at seven.<|END_RESPONSE|>", "We close at seven.", ""),
]  # fmt: skip

#: Thoughts and nothing else.
_ONLY_THOUGHTS = [
    "<think>They ask",
    "<think>They ask.</think>",
    "<think>They ask.</think>\n\n",
    "<think>a<think>b</think",
    "[THINK]They ask for",
    "◁think▷They ask",
    "<|channel|>analysis<|message|>They ask",
    "<|channel|>analysis<|message|>They ask.<|end|><|start|>assistant<|channel|>commentary<|message|>I look.",
    "analysisThey ask for times. Keep it",
    "analysisThe user asks for",
    "<|START_THINKING|>They ask",
    "<|channel>thought\nThey ask",
    "<|inner_prefix|>They ask",
    "<reasoning>They ask",
    'commentary to=functions.times json{"pier": "north"}',
    'analysisWe look.assistantcommentary to=functions.times json{"pier": "north"}',
    "<think>\n",
]

#: Answers that speak of marks, or only look like them.
SPEECH = [
    "[Thinking] is a gerund.",
    "[thinking] Hmm, seven, I would say.",
    "analysis\nis a Greek word.",
    "DeepSeek writes its reasoning between <think> and </think>.",
    "The tags are <think> and </think>, in small letters.",
    "Reasoning models put <think>...</think> in front of the answer.",
    "It prints <think>some thoughts</think> and then the answer.",
    "The text between `<think>` and `</think>` is hidden.",
    "Use `<think>your reasoning</think>` for that.",
    'The words "<think>" and "</think>" mark the reasoning.',
    "It begins with “<think>” and ends with “</think>”.",
    "Thoughts (<think>) come first, the answer (after </think>) later.",
    "**<think>** opens the reasoning, **</think>** closes it.",
    "- <think>: opens the reasoning\n- </think>: closes it",
    "The tags:\n- <think>\n- </think>\n- [THINK]\n- [/THINK]",
    "1. `<think>` for DeepSeek\n2. [THINK] for Magistral\n3. ◁think▷ for Kimi",
    "| mark | model |\n| --- | --- |\n| <think> | DeepSeek |\n| [THINK] | Mistral |",
    "<think> is the tag with which DeepSeek begins, and </think> the one with which it ends.",
    "<think> marks the beginning of the reasoning.",
    "Here is an example of its output:\n<think>\nThey ask for times.\n</think>\nThe ferry leaves at seven.",
    "It looks like this:\n\n```\n<think>\nThey ask.\n</think>\nThe ferry leaves at seven.\n```",
    "```xml\n<note>\n<thought>I am hungry</thought>\n</note>\n```",
    "```html\n<reasoning>because</reasoning>\n```\nThat is valid XML.",
    '```python\nPROMPT = """\n<think>\n{reasoning}\n</think>\n"""\n```',
    "```python\nprint('<think>')\n```",
    "<note>\n  <to>Ada</to>\n  <thought>I am hungry</thought>\n</note>",
    "<exam>\n<question>2 + 2</question>\n<reasoning>Count.</reasoning>\n<answer>4</answer>\n</exam>",
    "In XML you may write <thought>hungry</thought> or any other name.",
    "Mistral's token [THINK] has a partner, [/THINK].",
    "The closing tag is </think>",
    "Split the text at the first </think> and keep the rest.",
    "gpt-oss writes <|channel|>analysis<|message|> before its reasoning.",
    "It looked at the word\nanalysis\nand then at the word\nfinal\nand wrote them down.",
    "Analysis: the ferry leaves at seven. Final answer: seven.",
    "analysis of the ferry's times shows that it leaves at seven",
    "analysis",
    "Commentary by the captain: seven.",
    "Here is my thought process: first I looked at the notes, then at the clock.",
    "## Thinking\n\nThinking is what we do all day.",
    "I think, therefore I am. <3",
    "x < thinking and y > thought",
    "a [think tank] and a [link](https://example.org)",
    "List<Thought> thoughts = new List<Thought>();",
    "DeepSeek schreibt seine Gedanken zwischen <think> und </think>.",
    "Das <think>-Tag öffnet die Gedanken, das </think>-Tag schließt sie.",
    "DeepSeek escribe su razonamiento entre <think> y </think>.",
    "O modelo escreve o raciocínio entre <think> e </think>.",
    "Le modèle écrit ses pensées entre <think> et </think>.",
    "DeepSeek把推理写在<think>和</think>之间。",
    "结束标签是</think>。",
    "推論は<think>と</think>の間に書かれます。",
    "추론은 <think>와 </think> 사이에 씁니다.",
    "Модель пишет мысли между <think> и </think>.",
    "يكتب النموذج أفكاره بين <think> و </think>.",
    "<response><name>Ada</name><age>36</age></response>",
    '{"text": "<think>hm</think>"}',
    "Der letzte Satz endet mit </think>.",
    "<thinking>, <thought> and <reasoning> are all used.",
    "<think>와 </think> 사이에 생각을 씁니다.",
    "<think> → thoughts → </think> → answer",
    "a) <think>\nb) </think>",
    "<details><summary>More</summary>It leaves at seven.</details>\nThat is all.",
    "The analysis channel is called <|channel|>analysis.",
    "gpt-oss prints analysis...assistantfinal... when the marks are stripped.",
    "To hide it: text.split('</think>')[-1].",
    "Use re.sub(r'<think>.*?</think>', '', text, flags=re.S) for that.",
    "First comes <think>. Then the thoughts. Then </think>. Then the answer.",
]


@pytest.mark.parametrize(("text", "stays", "form"), THINKING)
def test_thoughts_are_cut_whose_form_is_not_known(text: str, stays: str, form: str) -> None:
    assert without_thoughts(text).strip() == stays.strip()
    assert learned(text) == form


@pytest.mark.parametrize(("text", "stays", "form"), [row for row in THINKING if row[2]])
def test_thoughts_are_cut_whose_form_is_known(text: str, stays: str, form: str) -> None:
    assert without_thoughts(text, form).strip() == stays.strip()


@pytest.mark.parametrize("text", _ONLY_THOUGHTS)
def test_nothing_is_left_of_half_a_thought(text: str) -> None:
    assert without_thoughts(text).strip() == ""
    assert without_thoughts(text, learned(text)).strip() == ""


@pytest.mark.parametrize("text", SPEECH)
def test_an_answer_that_speaks_of_marks_is_not_touched(text: str) -> None:
    assert without_thoughts(text) == text
    assert learned(text) == ""


@pytest.mark.parametrize("text", [text for text in SPEECH if text not in ("<think> marks the beginning of the reasoning.", "analysis")])
@pytest.mark.parametrize("form", ["think", "brackets", "harmony"])
def test_it_may_do_so_behind_its_own_thoughts(form: str, text: str) -> None:
    before = {
        "think": "<think>They ask.</think>\n",
        "brackets": "[THINK]They ask.[/THINK]\n",
        "harmony": "<|channel|>analysis<|message|>They ask.<|end|><|start|>assistant<|channel|>final<|message|>",
    }[form]

    assert without_thoughts(before + text, form) == text


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("<thinking>Hm</thinking> is what Claude writes.", "think"),
        ("<think>Hm</think> is what DeepSeek writes.", "brackets"),
        ("[THINK]Hm[/THINK]", "think"),
        ("They ask.\n</think>\nSeven.", "harmony"),
        ("analysisThey ask.assistantfinalSeven.", "think"),
    ],
)
def test_the_marks_of_others_are_text_where_a_models_own_are_known(text: str, form: str) -> None:
    assert without_thoughts(text, form) == text


def test_a_known_form_is_found_inside_a_block_of_code() -> None:
    assert without_thoughts("```\n<think>They ask.</think>\nSeven.\n```", "think") == "```\n\nSeven.\n```"


def test_a_model_that_begins_inside_of_its_thoughts_says_nothing_before_it_closes_them() -> None:
    assert without_thoughts("They ask for times. Keep", "opened-think", whole=False) == ""
    assert without_thoughts("<think>They ask for times. Keep", "opened-think") == ""
    # Its server takes the thoughts out now: without this every answer would be lost.
    assert without_thoughts("The ferry leaves at seven.", "opened-think") == "The ferry leaves at seven."


def test_an_unknown_form_is_one_that_is_not_known() -> None:
    assert without_thoughts("<think>They ask.</think>Seven.", "of a later version") == "Seven."


def test_a_name_says_how_a_form_is_used() -> None:
    assert {"think", "opened-think", "brackets", "harmony", "gemma", "granite"} <= FORMS.keys()
    assert all(name == form.name for name, form in FORMS.items())


@pytest.mark.parametrize(
    "text",
    ["<think>" * 4000, "</think>" * 4000, "<think></think>" * 2000, "a <think> b </think>. " * 1500, "<" * 32_000, "[" * 32_000, "&lt;" * 8000,
     "<a>" * 10_000 + "<think>", "< " * 16_000, "x\n" * 8000 + "<think>" * 2000, "<|channel|>analysis" * 1600, "```\n<think>\n" * 2500],
)  # fmt: skip
def test_it_is_quick_on_the_worst_text(text: str) -> None:
    began = time.process_time()
    without_thoughts(text)

    assert time.process_time() - began < 1.0


def test_a_sample_of_the_models_own_form_in_a_block_of_code_stays() -> None:
    text = "Here is what it looks like\n\n```\n<think>\nThey ask.\n</think>\nSeven.\n```\n\nThe tags are hidden."

    assert without_thoughts(text, "think") == text
