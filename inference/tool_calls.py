"""Takes calls of tools out of an answer. No tools are offered to a model here, so that a call in its words is for nobody.

A call is
  - what stands between the marks that a family of models writes around its calls and their results (`<tool_call>`, `<function=...>`, `[TOOL_CALLS]`,
    `<|python_tag|>` and so on), up to the closing mark, the end of its JSON, or the end of the answer;
  - an object of JSON at the start of a line, or at the end of the answer, that has exactly the fields of a call: a function's name and an object of arguments,
    and besides these only a type or an id; or a list of such objects, or an object around one;
  - a list of calls with named arguments that is the whole answer, or its last line: `[ferry_times(pier="north")]`;
  - a block of code labelled as a call (`tool_code`, `tool_call`), or one of JSON that holds such an object and nothing else;
  - the lines "Action:" and "Action Input:".
Words before and behind a call stay. So does a call that the answer speaks of (inference.mention) or announces as a sample, and any other JSON, code or list.
"""

from __future__ import annotations

import ast
import json
import re
from typing import Any, cast

from inference.mention import goes_on, is_announced, is_mentioned, line_before

_B = "[|\uff5c]"
_NAMES = (
    r"(?:\w{1,16}[:_])?(?:tool_calls?|tool_code|tool_use|tool_response|tool_results?|tool_outputs?|(?:function|fn)_?calls?|function_response|function_results?"
    r"|(?:tool|function)(?=\s+name\s*=)"
    r"|invoke|use_mcp_tool|execute_tool|start_function_call|start_function_response)"
)
#: Elements around calls and results, also with the function's name inside of the tag.
_TAG = rf"<(?P<tag>{_NAMES})(?:\s[^<>\n]{{0,200}})?>|<(?P<eq>function|tool|call)\s{{0,2}}[=(]\s{{0,2}}[\"']?[\w.:/-]{{1,120}}[\"']?\)?\s{{0,2}}(?:>|(?=\{{))"
#: Template tokens before calls and results.
_TOKEN = (
    rf"<{_B}?(?:python_tag|python_start|tool_calls?_section_begin|tool_calls?_begin|tool_calls?_start|tool_calls?|tools_prefix|START_ACTION|START_TOOL_RESULT|plugin|action_start"
    rf"|tool\u2581calls?\u2581begin|tool\u2581outputs?\u2581begin|tool_list_start|tool_response|function_call)(?:{_B}>|(?<={_B})>|(?<!>){_B}?>)"
    rf"|<{_B}DSML{_B}[^<>\n]{{1,80}}>|\[(?:TOOL_CALLS?|TOOL_RESULTS|AVAILABLE_TOOLS)\]|\u273fFUNCTION\u273f|functools(?=\[\s*\{{)"
    rf"|(?:(?:<{_B}start{_B}>assistant)?<{_B}channel{_B}>|^)commentary\s+to=[^\n]{{1,200}}"
)
_JSON = r"(?:[\[{]\s*){1,3}[\"'](?:name|type|function|function_call|functionCall|tool|tool_name|tool_calls|tool_uses|action|id|arguments|parameters|recipient_name)[\"']\s*:"
_PYTHON = r"\[\s*[a-z_]\w*(?:\.\w+)*\((?=\s*(?:\w+\s*=|\)))"
_FENCE = r"```[ \t]*(?:tool_?codes?|tool_?calls?|tool_?use|tool_outputs?|function_?calls?|tool|json|python|py|)[ \t]*\n"
_ACTION = r"^(?:Thought:[^\n]*\n+)?Action:[ \t]*[\w.\[\]-]{1,80}[ \t]*\n+Action Input:"
_MARK = re.compile(
    rf"(?P<named>{_TAG})|(?P<token>{_TOKEN})|(?P<json>{_JSON})|(?P<python>{_PYTHON})|(?P<fence>{_FENCE})|(?P<action>{_ACTION})",
    re.MULTILINE | re.IGNORECASE,
)
#: What every mark begins with. Most texts have none of these.
_LEADS = ("<", "[", "{", "```", "\u273fFUNCTION", "functools[", "Action:", "Thought:", "commentary to=")
_LEAD = re.compile(r"[<\[{]|```|\u273fFUNCTION|functools\[|Action:|Thought:|commentary to=")
#: What somebody asks for may have these names, too, and look like a call.
_DATA = re.compile(r"\b(?:json|payload|request body|curl)\b", re.IGNORECASE)
_LABELLED = re.compile(r"```[ \t]*(?:tool|function)", re.IGNORECASE)
_LABEL = re.compile(r"```[ \t]*(\w*)")
_FENCE_END = re.compile(r"^[ \t]*```[ \t]*$", re.MULTILINE)
_ANY_FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
#: A mark that has begun and may go on.
_BEGUN = re.compile(
    r"(?:(?<![\w\]\[{])(?:[\[{]\s*){1,3}(?:[\"'](?:\w{0,20}[\"']?\s*)?)?|(?<![\w\]])\[\s*(?:[a-z_][\w.]{0,40}(?:\(\s*\w{0,30}\s*)?|[A-Z_]{0,16})|`{1,3}[ \t]*|```[ \t]*\w{0,14}[ \t]*"
    r"|<[\w:=|\uff5c\u2581]{0,40}|<(?:\w{1,16}:)?(?:tool|function|invoke|call)\w{0,12}[\s=][^<>\n]{0,80}|(?:^|(?<=\n))(?:Thought:[^\n]{0,80}\n*)?(?:Action(?::[^\n]{0,80}(?:\n+[\w ]{0,12})?)?)?(?<=[\w:\n ])(?<!^))\Z"
)
#: What closes the section that a token opened, and what a call of this kind is made of.
_SECTION_END = re.compile(
    rf"<{_B}?/?(?:tool_calls?_end|tool\u2581calls\u2581end|tool\u2581outputs\u2581end|tools_suffix|END_ACTION|END_TOOL_RESULT|python_end|action_end|eom_id|call"
    rf"|/tool_calls?|tool_calls?)(?:{_B}?>)|</{_B}DSML{_B}(?:function_calls|tool_calls)>|\[/?(?:TOOL_CALLS?|TOOL_RESULTS|AVAILABLE_TOOLS)\]|\u273fRETURN\u273f",
    re.IGNORECASE,
)
_CALLS_END = re.compile(rf"<{_B}tool_calls?_section_end{_B}>")
#: A title before a call.
_TITLE = re.compile(r"^[*_ ]*(?:tool|function)[ _]?calls?[*_ ]*:[*_ ]*\s*\Z", re.IGNORECASE | re.MULTILINE)
_CALL_NAME = re.compile(r"\s*[\w.:/-]{0,120}\s*(?:\[(?:CALL_ID)\]\s*\w*\s*)?(?:\[ARGS\])?\s*")
_FINAL = re.compile(r"^Final Answer:[ \t]*", re.MULTILINE)
_ACTIONS = re.compile(r"^Action Input:[ \t]*(?P<input>.*)$", re.MULTILINE)
_ENDS = re.compile(rf"(?:\s|;|,|<{_B}[^<>\s]{{1,60}}>|</s>)*")

#: With less in it than this, a block of code that grows may still become a call.
_SHORT = 16
#: Nor is a call in Python's words longer, in characters.
_LONGEST_PYTHON = 4000
#: No more marks are looked at in one answer: real ones have a few.
_TRIES = 60
_IDENTIFIER = re.compile(r"[A-Za-z_][\w.:/-]{0,127}\Z")
_FUNCTION = ("name", "function", "tool", "tool_name", "function_name", "action", "recipient_name")
_ARGUMENTS = (
    "arguments",
    "parameters",
    "args",
    "input",
    "tool_input",
    "tool_args",
    "action_input",
    "arguments_json",
    "params",
    "kwargs",
    "tool_parameters",
)
_BESIDES = frozenset(["type", "id", "call_id", "tool_call_id", "index"])
_AROUND = ("function_call", "functionCall", "tool_calls", "tool_uses", "function_calls", "function", "tool_call", "calls")
_OBJECT_START = re.compile(
    r"\{\s*\"(?:type\"\s*:\s*\"function\"\s*,\s*\")?(?:name|function)\"\s*:\s*\"[\w.:/-]{1,128}\"\s*,\s*\"(?:arguments|parameters|args)\"\s*:"
)
_PYTHON_CALL = re.compile(r"\s*[a-z_]\w*(?:\.\w+)*\((?=\s*(?:\w+\s*=|\)))")


def without_calls(text: str, *, json_wanted: bool = False) -> str:
    """Return the answer without calls of tools; empty where it is nothing else.

    `json_wanted`: the person asked for JSON, so that an object without the marks of a call is what they asked for.
    """
    if not any(lead in text for lead in _LEADS):
        return text
    kept, at, searched, tries = list[str](), 0, 0, 0
    while tries < _TRIES and (mark := _find(text, searched)) is not None:
        is_wanted = json_wanted and (mark["json"] or (mark["fence"] and not _LABELLED.match(mark.group())))
        end, tries = 0 if is_wanted else _call_end(text, mark, since=at, whole=True), tries + 1
        if not end:
            searched = _past_sample(text, mark, since=at)
            continue
        kept.append(_TITLE.sub("", text[at : mark.start()]))
        at = searched = end
    if not kept:
        return text
    return "\n".join(piece.strip() for piece in (*kept, text[at:]) if piece.strip())


class GrowingCalls:
    """Looks for calls in a text while it grows."""

    def __init__(self) -> None:
        self._searched = 0
        self._begins: int | None = None
        #: A call that cannot be told from other text yet is looked at again when the text has this length.
        self._again = 0

    def begin(self, text: str) -> int:
        """Return where a call begins, or may; the length of the text where there is none."""
        if len(text) < self._searched:
            self._searched, self._begins = 0, None
        if self._begins is not None and (not self._again or len(text) < self._again):
            return self._begins
        at = self._searched if self._begins is None else self._begins
        self._begins = None
        while (mark := _find(text, at)) is not None:
            end = _call_end(text, mark, since=0, whole=False)
            if end:
                self._begins = mark.start()
                self._again = 0 if end > 0 else len(text) + max(1, (len(text) - mark.start()) // 8)
                return self._begins
            at = mark.end()
        begun = _BEGUN.search(text, max(at, len(text) - 120))
        certain = len(text) if begun is None else begun.start()
        self._searched = max(at, certain - _SHORT)
        return certain


def _find(text: str, at: int) -> re.Match[str] | None:
    while (lead := _LEAD.search(text, at)) is not None:
        if (mark := _MARK.match(text, lead.start())) is not None:
            return mark
        at = lead.end()
    return None


def _call_end(text: str, mark: re.Match[str], *, since: int, whole: bool) -> int:
    """Where the call that begins with a mark ends; 0 where it is none, -1 where a growing text does not tell yet."""
    kind = next(name for name in ("named", "token", "json", "python", "fence", "action") if mark[name] is not None)
    if len(_ANY_FENCE.findall(text, since, mark.start())) % 2:
        # Part of a block of code, or the end of one.
        return 0
    if kind == "fence":
        return _fence_end(text, mark, since=since, whole=whole)
    if kind == "action":
        return 0 if is_announced(text, mark.start(), since=since) else _action_end(text, mark.end())
    if kind in ("json", "python"):
        end = (_json_end if kind == "json" else _python_end)(text, mark.start(), whole=whole)
        return end if end <= 0 or _stands_alone(text, mark.start(), end, since=since) else 0
    return _marked_end(text, mark, since=since, whole=whole)


def _marked_end(text: str, mark: re.Match[str], *, since: int, whole: bool) -> int:
    spoken = not mark.group().startswith("\u273f") and is_mentioned(text, *mark.span(), since=since, whole=whole)
    if spoken or spoken is None:
        return 0 if spoken else -1
    return _tag_end(text, mark) if mark["named"] is not None else _section_end(text, mark)


def _stands_alone(text: str, start: int, end: int, *, since: int) -> bool:
    """Whether something begins a line or follows a sentence, is no part of one, and no sample."""
    line = text[max(since, text.rfind("\n", 0, start) + 1) : start]
    if any(is_announced(text, at, since=since, by=_DATA) for at in (start - len(line), start)):
        return False
    rest = text[end : end + 24].partition("\n")[0]
    if line.strip() and line.rstrip()[-1] not in ".!?:>\u3002\uff01\uff1f\u2026)\u061f\u0964":
        return False
    return not goes_on(rest) or not line.strip()


_START = re.compile(r"\Astart(?=_)", re.IGNORECASE)


def _tag_end(text: str, mark: re.Match[str]) -> int:
    name = mark["tag"] or mark["eq"]
    if mark.group().endswith("/>"):
        return mark.end()
    # FunctionGemma's pair is "start" and "end".
    closing = re.compile(rf"</\s?{re.escape(name)}\s?>|<{re.escape(_START.sub('end', name))}>", re.IGNORECASE).search(text, mark.end())
    if closing:
        return closing.end()
    at = len(text) - len(text[mark.end() :].lstrip())
    return _ended(text, _balanced(text, at) or len(text)) if text[at : at + 1] in ("{", "[") else len(text)


def _section_end(text: str, mark: re.Match[str]) -> int:
    """The end of what a token opened: behind its closing token, or behind the JSON or the list that follows it, else that of the text."""
    closing = (_CALLS_END if "section" in mark.group() else _SECTION_END).search(text, mark.end())
    if closing is not None and closing.group() not in ("[TOOL_CALLS]", "[TOOL_CALL]"):
        return closing.end()
    named = _CALL_NAME.match(text, mark.end())
    at = named.end() if named else mark.end()
    if text[at : at + 1] in ("{", "[") and "python_tag" not in mark.group():
        return _ended(text, _balanced(text, at) or len(text))
    return len(text)


def _action_end(text: str, at: int) -> int:
    final = _FINAL.search(text, at)
    return final.end() if final else len(text)


def _fence_end(text: str, mark: re.Match[str], *, since: int, whole: bool) -> int:
    closing = _FENCE_END.search(text, mark.end())
    end = closing.end() if closing else len(text)
    if line_before(text, mark.start()).strip() or is_announced(text, mark.start(), since=since, by=_DATA):
        return 0
    if _LABELLED.match(mark.group()):
        return end
    label = _LABEL.match(mark.group())
    inner_end = closing.start() if closing else len(text)
    inner = text[mark.end() : inner_end].strip()
    inner = inner.removeprefix("functools")
    if closing is None and not whole and (len(inner) < _SHORT or _MARK.match(inner)):
        return -1
    if label is not None and label[1].lower() in ("python", "py"):
        is_call = bool(re.match(_PYTHON, inner)) and _python_end(inner, 0, whole=whole) == len(inner)
    else:
        is_call = inner[:1] in ("{", "[") and _json_end(inner, 0, whole=whole) == len(inner)
    return end if is_call else 0


def _past_sample(text: str, mark: re.Match[str], *, since: int) -> int:
    """Where something ends that is no call: what is inside of a block of code, or of a sample, is none either."""
    if mark["fence"] is not None:
        closing = _FENCE_END.search(text, mark.end())
        return closing.end() if closing else len(text)
    if mark["named"] is not None and is_announced(text, mark.start(), since=since):
        return _tag_end(text, mark)
    return mark.end()


def _json_end(text: str, start: int, *, whole: bool) -> int:
    """Where the JSON of one call or several ends; 0 where it is no call, -1 where it has no end yet."""
    end = _balanced(text, start)
    if end is None:
        if not whole:
            return -1
        return len(text) if _OBJECT_START.match(text, start + len(text[start:]) - len(text[start:].lstrip("[ \n\t"))) else 0
    return _ended(text, end) if _is_call(_loaded(text[start:end])) else 0


def _python_end(text: str, start: int, *, whole: bool) -> int:
    """Where a list of calls with named arguments ends; 0 where something else is in it, or stands behind it."""
    at = start + 1
    while (call := _PYTHON_CALL.match(text, at)) is not None:
        end = _balanced(text, call.end() - 1)
        if end is None:
            return len(text) if whole else -1
        rest = text[end:].lstrip()
        at = len(text) - len(rest) + 1
        if not rest:
            return len(text) if whole else -1
        if rest[0] == "]":
            end = _ended(text, at)
            return end if end == len(text) or text[end - 1] == "\n" else 0
        if rest[0] != ",":
            return 0
    return 0


def _ended(text: str, end: int) -> int:
    """Where what belongs to nobody behind a call ends: spaces, further calls, tokens."""
    ends = _ENDS.match(text, end)
    return ends.end() if ends else end


def _balanced(text: str, start: int) -> int | None:
    """Where the bracket at `start` is closed, outside of strings; None where it is not."""
    depth, quote = 0, ""
    for found in _BRACKETS.finditer(text, start):
        sign = found.group()
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "\"'":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
            if depth == 0:
                return found.end()
    return None


_BRACKETS = re.compile(r"\\.|[\"'()\[\]{}]", re.DOTALL)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        pass
    if "'" not in text or "\\" in text or len(text) > _LONGEST_PYTHON:
        return None
    try:
        # As Python writes it.
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None


def _is_call(value: Any) -> bool:
    """Whether a value has exactly the fields of a call, or holds such values and nothing else."""
    if isinstance(value, list):
        members = cast("list[Any]", value)
        return bool(members) and all(isinstance(one, dict) and _is_call(one) for one in members)
    if not isinstance(value, dict):
        return False
    fields = {key: one for key, one in cast("dict[str, Any]", value).items() if key not in _BESIDES}
    if len(fields) == 1:
        ((key, inner),) = fields.items()
        return key in _AROUND and _is_call(inner)
    names, arguments = [key for key in fields if key in _FUNCTION], [key for key in fields if key in _ARGUMENTS]
    if len(fields) != 2 or len(names) != 1 or len(arguments) != 1:
        return False
    name, given = fields[names[0]], fields[arguments[0]]
    if arguments[0] == "input" and cast("dict[str, Any]", value).get("type") != "tool_use":
        return False
    if isinstance(given, str):
        given = _loaded(given) if given.lstrip().startswith("{") else given if names[0] == "action" else None
    return isinstance(name, str) and _IDENTIFIER.match(name) is not None and (given is None or isinstance(given, dict | str))
