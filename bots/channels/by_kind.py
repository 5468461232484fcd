"""What each channel does without an account: reading the body of a webhook, and cutting an answer that a person typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bots.channels import console, instagram, messenger, whatsapp
from bots.channels.account_notices import judged
from bots.domain import ChannelKind, Received

#: The channels that have webhooks. Total: any bytes give a result. Events also say what they mean for the account.
PARSERS: Mapping[ChannelKind, Callable[[bytes], Received]] = {
    channel: judged(channel, parse)
    for channel, parse in (
        (ChannelKind.WHATSAPP, whatsapp.parse),
        (ChannelKind.MESSENGER, messenger.parse),
        (ChannelKind.INSTAGRAM, instagram.parse),
    )
}

#: Cuts what a person typed into parts that the channel accepts; the words stay as they are.
FITTERS: Mapping[ChannelKind, Callable[[str], tuple[str, ...]]] = {
    ChannelKind.WHATSAPP: whatsapp.fit,
    ChannelKind.MESSENGER: messenger.fit,
    ChannelKind.INSTAGRAM: instagram.fit,
    ChannelKind.CONSOLE: console.fit,
}
