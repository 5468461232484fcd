"""Which channels have webhooks, and how the body of each is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bots.channels import instagram, messenger, whatsapp
from bots.domain import ChannelKind, Received

#: Total: any bytes give a result.
PARSERS: Mapping[ChannelKind, Callable[[bytes], Received]] = {
    ChannelKind.WHATSAPP: whatsapp.parse,
    ChannelKind.MESSENGER: messenger.parse,
    ChannelKind.INSTAGRAM: instagram.parse,
}
