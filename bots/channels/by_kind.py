"""What each channel does without an account: reading the body of a webhook, and writing an answer."""

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

#: Turns Markdown into the channel's dialect, in parts that it accepts.
RENDERERS: Mapping[ChannelKind, Callable[[str], tuple[str, ...]]] = {
    ChannelKind.WHATSAPP: whatsapp.render,
    ChannelKind.MESSENGER: messenger.render,
    ChannelKind.INSTAGRAM: instagram.render,
    ChannelKind.CONSOLE: console.render,
}
