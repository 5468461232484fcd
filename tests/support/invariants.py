"""What must hold after every test, whatever was killed: I1 to I9, read from Postgres, the fake platform's log and all output."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from tests.support import build

if TYPE_CHECKING:
    from tests.support.stack import Stack

_MARK = re.compile(build.CANARY + r"(\d+)z")
_SECRETS = (build.APP_SECRET, build.VERIFY_TOKEN, build.ACCESS_TOKEN, build.CANARY)
_NUMBER = re.compile(r"(?<!\d)1555\d{7}(?!\d)")
#: The fakes are no part of the service: their records hold what was said.
_FAKES = ("platform", "model")


def check(stack: Stack, *, settled: bool = True) -> None:
    """Assert all of them. With settled=False, only those that hold at every moment."""
    entries = stack.platform.log()
    problems = [*_stored_once(stack), *_memories_have_a_source(stack)]
    problems += [*_recalled_is_ones_own(stack), *_nobody_elses_words(stack, entries), *_nothing_leaked(stack)]
    if settled:
        problems += [*_one_turn_each(stack), *_turns_ended(stack), *_sends_accounted(stack, entries), *_order_kept(stack, entries)]
        problems += _notes_have_no_hole(stack)
    if problems:
        raise AssertionError("\n".join([*problems[:20], stack.describe()]))


def accepted(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The log's entries of messages that the platform took, in its order."""
    return [entry for entry in entries if entry["kind"] == "message" and entry.get("external_id")]


def _stored_once(stack: Stack) -> list[str]:
    """I1: what got 200 has exactly one inbox row."""
    counts = Counter(row["event_key"] for row in stack.rows("select event_key from inbox where kind in ('message', 'unsent')"))
    lost = [f"I1: {key} got 200 and has {counts[key]} inbox rows" for key in stack.accepted if counts[key] != 1]
    return lost + [f"I1: {key} has {count} inbox rows" for key, count in counts.items() if count > 1 and key not in stack.accepted]


def _one_turn_each(stack: Stack) -> list[str]:
    """I2: an answerable message belongs to exactly one turn, of its own conversation and contact."""
    found = stack.rows("""
        select i.event_key from inbox i left join turns t on t.id = i.turn_id
        where i.kind = 'message' and (t.id is null or t.conversation_id <> i.conversation_id or t.contact_id <> i.contact_id)
    """)
    return [f"I2: {row['event_key']} has no turn of its own conversation" for row in found]


def _turns_ended(stack: Stack) -> list[str]:
    """I3: a turn has one committed answer or a terminal reason."""
    found = stack.rows("""
        select t.id, t.state, t.reason, count(o.id) as parts, coalesce(max(o.part), 0) as last, count(*) filter (where o.part >= 1) as from_one
        from turns t left join outbox o on o.turn_id = t.id
        -- What a person answered in the platform's own inbox is no message of ours.
        where t.reason is distinct from 'elsewhere' group by t.id, t.state, t.reason
    """)
    problems = []
    for row in found:
        if row["state"] == "open":
            problems.append(f"I3: turn {row['id']} is open")
        elif row["state"] == "answered" and (row["last"] < 1 or row["from_one"] != row["last"]):
            problems.append(f"I3: turn {row['id']} is answered with {row['parts']} parts, the last is {row['last']}")
        elif row["state"] in ("skipped", "dead") and not row["reason"]:
            problems.append(f"I3: turn {row['id']} is {row['state']} without a reason")
    covers = stack.rows(
        "select id from turns t where not exists (select from inbox where turn_id = t.id)"
        # A person may write twice in a row.
        " and state <> 'skipped' and answered_by is null"
    )
    return problems + [f"I3: turn {row['id']} covers no message" for row in covers]


def _sends_accounted(stack: Stack, entries: list[dict[str, Any]]) -> list[str]:
    """I4: the platform accepted every part at least once, and more than once only where an attempt is unknown."""
    # Instagram hands no tag of ours back: there the platform's id says which part it was.
    taken = Counter(str(entry.get("correlation") or entry["external_id"]) for entry in accepted(entries))
    rows = stack.rows("""
        select o.id, o.external_id, o.status, o.reason, (select count(*) from send_attempts a where a.message_id = o.id) as attempts,
            exists (select from send_attempts a where a.message_id = o.id and (a.outcome = 'unknown' or a.finished_at is null)) as unknown
        from outbox o join accounts c on c.id = o.account_id where c.channel <> 'console'
    """)
    problems = []
    for row in rows:
        count = taken.pop(str(row["id"]), 0) + taken.pop(str(row["external_id"]), 0)
        settled_without = row["status"] == "failed" or (row["status"] == "unknown" and row["reason"] == "unknown")
        if count == 0 and not settled_without:
            problems.append(f"I4: part {row['id']} is {row['status']} and the platform never accepted it")
        if count > 1 and not (row["unknown"] or row["attempts"] > 1):
            problems.append(f"I4: part {row['id']} was accepted {count} times and no attempt is unknown")
        if count > 2:
            problems.append(f"I4: part {row['id']} was accepted {count} times: at most one resend")
    return problems + [f"I4: the platform accepted {key}, which is in no outbox" for key in taken]


def _order_kept(stack: Stack, entries: list[dict[str, Any]]) -> list[str]:
    """I5: per conversation the platform saw the turns in their order."""
    place = {
        str(row["id"]): (row["conversation_id"], (row["number"], row["part"]))
        for row in stack.rows("select o.id, o.conversation_id, t.number, o.part from outbox o join turns t on t.id = o.turn_id")
    }
    seen: dict[Any, list[tuple[int, int]]] = defaultdict(list)
    first: set[str] = set()
    for entry in accepted(entries):
        key = str(entry.get("correlation"))
        if key in place and key not in first:
            first.add(key)
            conversation, order = place[key]
            seen[conversation].append(order)
    return [f"I5: conversation {key} was answered in the order {order}" for key, order in seen.items() if order != sorted(order)]


def _memories_have_a_source(stack: Stack) -> list[str]:
    """I6: a memory names a message and a turn of the same contact, or the operator who added it; what ended it is the contact's own, too."""
    found = stack.rows("""
        select m.id from memories m left join inbox i on i.id = m.source_inbox_id left join turns t on t.id = m.source_turn_id
        where (i.contact_id is distinct from m.contact_id or t.contact_id is distinct from m.contact_id)
            and not (m.created_by like 'operator %' and m.source_inbox_id is null and m.source_turn_id is null)
    """)
    ended = stack.rows("""
        select m.id from memories m left join inbox i on i.id = m.ended_by_inbox_id left join memories n on n.id = m.superseded_by
        where (m.ended_by_inbox_id is not null and i.contact_id is distinct from m.contact_id)
            -- The newer memory may have been forgotten meanwhile.
            or (n.id is not null and n.contact_id <> m.contact_id)
    """)
    return [f"I6: memory {row['id']} has no source of its own contact" for row in found] + [
        f"I6: memory {row['id']} was ended by somebody else" for row in ended
    ]


def _recalled_is_ones_own(stack: Stack) -> list[str]:
    """I7: what a turn recalled, a memory or an earlier turn, is of the turn's contact; an earlier turn has the lower number in its conversation."""
    memories = stack.rows("""
        select r.turn_id from recalls r join turns t on t.id = r.turn_id join memories m on m.id = r.memory_id
        where not (r.contact_id = t.contact_id and t.contact_id = m.contact_id)
    """)
    turns = stack.rows("""
        select r.turn_id from recalled_turns r join turns t on t.id = r.turn_id join turns e on e.id = r.recalled_id
        where not (r.contact_id = t.contact_id and t.contact_id = e.contact_id)
            or t.id = e.id or (t.conversation_id = e.conversation_id and e.number > t.number)
    """)
    return [f"I7: turn {row['turn_id']} recalled what is not its contact's past" for row in memories + turns]


def _nobody_elses_words(stack: Stack, entries: list[dict[str, Any]]) -> list[str]:
    """I7: nothing that one contact said is in a prompt or a send for another."""
    numbers: dict[Any, set[str]] = defaultdict(set)
    for row in stack.rows("select contact_id, value from contact_identities where kind = 'phone'"):
        numbers[row["contact_id"]].add(row["value"].lstrip("+"))
    problems = [
        f"I7: model call {row['id']} holds words of somebody else"
        for row in stack.rows("select id, contact_id, prompt from model_calls")
        if set(_MARK.findall(json.dumps(row["prompt"]))) - numbers[row["contact_id"]]
    ]
    for entry in entries:
        to = str(entry.get("to") or "").lstrip("+")
        if to and set(_MARK.findall(str(entry.get("text") or ""))) - {to}:
            problems.append(f"I7: the send {entry['n']} holds words of somebody else")
    return problems


def _notes_have_no_hole(stack: Stack) -> list[str]:
    """I9: a turn that prompts no longer repeat is in the notes, or is due to be; until then prompts have its own words."""
    found = stack.rows("""
        select t.conversation_id, t.number from turns t join conversations c on c.id = t.conversation_id
        where t.state = 'answered' and t.in_history and t.asked is not null and t.answer is not null
            and t.number > c.summary_until and t.number < c.history_from and c.closed_at is null
            and not (c.summarise_at is not null and c.summarise_to >= t.number)
    """)
    return [f"I9: turn {row['number']} of conversation {row['conversation_id']} is in nothing" for row in found]


def _nothing_leaked(stack: Stack) -> list[str]:
    """I8: no secret, no number and no word of a person is in any output."""
    secrets = (*_SECRETS, *stack.cluster.passwords.values(), stack.cluster.key, stack.redis.password)
    outputs = {process.output for process in stack.processes.all if process.name not in _FAKES}
    outputs |= {stack.folder / "redis" / "redis.log", stack.cluster.folder / "postgres" / "postgres.log"}
    problems = []
    for path in outputs:
        if not path.exists():
            continue
        printed = path.read_text(errors="replace")
        problems += [f"I8: {path.name} shows {secret[:10]}..." for secret in secrets if secret in printed]
        problems += [f"I8: {path.name} shows the number of a person"] if _NUMBER.search(printed) else []
    return problems
