"""Reads the messages of a turn for what the service itself does about them, before any model: commands, corrections, and what is not to be remembered."""

from __future__ import annotations

from bots.commands import keeps_out, objection, parse_command
from bots.extract.commands import noted_text
from bots.storage.claims import ClaimedMessage
from workers.turn.claimed import ClaimedTurn

#: What a contact may still ask for after /stop.
_FOR_STOPPED = frozenset({"start", "help", "memory", "forget", "forget_that", "memory_off", "memory_on", "health_off", "health_on"})
#: What a member of a group may ask for: nothing about memory, since nothing is remembered of a group.
_IN_GROUPS = frozenset({"help", "reset", "stop", "start"})


def obey(turn: ClaimedTurn) -> tuple[list[ClaimedMessage], list[ClaimedMessage]]:
    """Do what the messages ask of the service. Returns the messages for the model, and those of kinds that it cannot read."""
    texts: list[ClaimedMessage] = []
    others: list[ClaimedMessage] = []
    stopped = turn.stopped
    for message in turn.claim.messages:
        # Words beside a file count, too, whether or not the file can be read.
        own = None if message.is_forwarded else message.text
        command = parse_command(own, stopped=stopped)
        if command is not None and turn.is_group and command.name not in _IN_GROUPS:
            command = None
        if (
            command is not None
            and (not stopped or command.name in _FOR_STOPPED)
            and turn.obey(command, message.id, has_words=bool(texts or others))
        ):
            stopped = turn.stopped
            turn.words[message.id] = ""
            if command.name in ("forget", "forget_that"):
                # What was said just before is meant, too.
                turn.words.update((one.id, "") for one in texts)
            if command.name in ("reset", "stop", "forget_that"):
                # What came before belongs to the conversation that ends here, or is not to be spoken of.
                texts, others = [], []
        elif stopped or _corrects(turn, message):
            continue
        elif message.supported:
            is_kept_out = keeps_out(own)
            if is_kept_out:
                turn.unsaid.append(message.id)
            if command is not None or is_kept_out:
                # A wish states nothing, even where the model answers it.
                turn.words[message.id] = ""
            texts.append(message)
        else:
            others.append(message)
    told = {message.id for message in (*texts, *others)}
    turn.untold = [message.id for message in turn.claim.messages if message.id not in told]
    return texts, others


def _corrects(turn: ClaimedTurn, message: ClaimedMessage) -> bool:
    """Whether a message says what is right about its writer ("That's wrong, I live in Porto"), and is answered by what that changes."""
    objected = objection(message.text) if message.supported and turn.remembers and not message.is_forwarded else None
    if objected is None:
        return False
    right, languages = objected
    said = turn.read((message, right))
    new = {(fact.kind, fact.text.casefold()) for fact in said.facts}
    true = {one.id for one in said.still_true(turn.claim.memories)}
    gone = [one.text for one in turn.claim.memories if one.id not in true and (one.kind, one.text.casefold()) not in new]
    if not (said.facts or gone) or not all(turn.keeps(fact.kind) for fact in said.facts):
        return False
    turn.words[message.id] = right
    turn.tell(noted_text(said.facts, gone, turn.language_among(languages)))
    return True
