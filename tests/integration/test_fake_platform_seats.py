"""Pages and Instagram accounts registered at the practice platform: it accepts the requests that the channels make."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from bots.channels.base import Credentials
from bots.channels.graph import GraphClient
from bots.channels.instagram import Instagram
from bots.channels.messenger import Messenger
from bots.domain import ChannelKind, EventKind, Identity, IdentityKind, InboundEvent, OutboundMessage
from tests.support import build
from tests.support.cluster import Cluster
from tests.support.stack import Stack

PERSON = {
    ChannelKind.MESSENGER: Identity(kind=IdentityKind.PSID, value="2460"),
    ChannelKind.INSTAGRAM: Identity(kind=IdentityKind.IGSID, value="1760"),
}


@pytest.fixture
def stack(cluster: Cluster, tmp_path: Path) -> Stack:
    return Stack(cluster, tmp_path)


@pytest.mark.parametrize(
    ("channel", "login_type"), [(ChannelKind.MESSENGER, "page"), (ChannelKind.INSTAGRAM, "page"), (ChannelKind.INSTAGRAM, "login")]
)
def test_a_seated_account_sends_its_longest_text_and_its_marks(stack: Stack, channel: ChannelKind, login_type: str) -> None:
    with stack:
        account = stack.add_page(channel, login_type=login_type, require_proof=True, statuses=[])
        credentials = Credentials(access_token=f"{build.ACCESS_TOKEN}-1", app_secret=f"{build.APP_SECRET}-1", login_type=login_type)
        graph = GraphClient(base_url=stack.platform.url, version="v25.0", deadline_s=5)
        speaker = Messenger(graph) if channel is ChannelKind.MESSENGER else Instagram(page=graph, login=graph)
        people = (PERSON[channel],)
        (text, *_) = speaker.fit("ñ" * 5000)

        sent = speaker.send(OutboundMessage(id=uuid4(), account_external_id=account.external_id, identities=people, text=text), credentials)
        came = InboundEvent(kind=EventKind.MESSAGE, event_key="m_1", identities=people)
        speaker.show_typing(account.external_id, came, credentials)
        graph.close()

        log = stack.platform.log()
        assert [(one["kind"], one["outcome"], one["account_id"]) for one in log] == [
            (kind, "accepted", account.external_id) for kind in ("message", "read", "typing")
        ]
        assert (log[0]["external_id"], stack.platform.texts_to(people[0].value)) == (sent.external_id, [text])
