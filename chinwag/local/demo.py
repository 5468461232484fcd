"""The content of a fresh stack: a bot, the console account of the chat page, and a practice account per channel. Safe to run again."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx
from sqlalchemy import Connection

from bots.crypto import Keyring
from bots.domain import ChannelKind
from bots.settings import Settings
from bots.storage import accounts, database, personas, sign_in_links, tenants
from chinwag.local.ground import Secrets

DEMO_NUMBER, DEMO_BUSINESS = "700800900100200", "900100200300400"
DEMO_PAGE = "200300400500600"
DEMO_INSTAGRAM, DEMO_INSTAGRAM_PAGE = "17841400500600700", "200300400500700"
_APP = "100200300400500"
PERSONA = (
    "You are a friendly AI assistant in a chat with a person. Answer the person's question directly, in their language, in at most three short "
    'sentences, and call them "you". You are a program: the facts about the person are not about you. If you were not told something, say that '
    "you do not know it."
)


@dataclass(frozen=True, slots=True)
class _Demo:
    """One practice account."""

    channel: ChannelKind
    external_id: str
    parent_id: str | None
    access_token: str = field(repr=False)


def prepare(settings: Settings, secrets: Secrets) -> str:
    """Create what is missing; returns a one-time token for the admin page."""
    engine = database.open_engine(settings.owner_database_url, pool=2, name="local")
    try:
        with database.unit(engine) as connection:
            _fill(connection, Keyring.from_settings(settings), secrets)
        return sign_in_links.new_link(engine)
    finally:
        engine.dispose()


def _fill(connection: Connection, keyring: Keyring, secrets: Secrets) -> None:
    tenant = tenants.default(connection)
    bot = personas.get(connection, tenant=tenant, name="demo")
    if bot is None:
        bot = personas.put(connection, tenant=tenant, name="demo", persona=PERSONA, profile="default")
    if accounts.find(connection, channel=ChannelKind.CONSOLE, name="console") is None:
        accounts.add(connection, keyring, tenant=tenant, bot=bot.id, channel=ChannelKind.CONSOLE, name="console", external_id="console")
    for one in _demos(secrets):
        if accounts.find(connection, channel=one.channel, name="demo") is None:
            accounts.add(
                connection,
                keyring,
                tenant=tenant,
                bot=bot.id,
                channel=one.channel,
                name="demo",
                external_id=one.external_id,
                parent_id=one.parent_id,
                app_id=_APP,
                app_secret=secrets.app_secret,
                verify_token=secrets.verify_token,
                access_token=one.access_token,
            )


def register(platform_url: str, web_url: str, secrets: Secrets) -> None:
    """Register the demo accounts with the practice platform. Raises httpx.HTTPError."""
    # Loopback never goes through a proxy.
    with httpx.Client(timeout=10, trust_env=False) as client:
        for one in _demos(secrets):
            _register(client, one, platform_url, web_url, secrets)


def _register(client: httpx.Client, one: _Demo, platform_url: str, web_url: str, secrets: Secrets) -> None:
    ids = {"account_id": one.external_id, "page_id": one.parent_id or one.external_id}
    if one.channel is ChannelKind.WHATSAPP:
        ids = {"phone_number_id": one.external_id, "waba_id": DEMO_BUSINESS}
    answer = client.post(
        f"{platform_url}/_practice/accounts",
        json={
            "channel": one.channel.value,
            **ids,
            "webhook_url": f"{web_url}/webhooks/{one.channel.value}/demo",
            "app_id": _APP,
            "app_secret": secrets.app_secret,
            "access_token": one.access_token,
            "verify_token": secrets.verify_token,
        },
    )
    answer.raise_for_status()


def _demos(secrets: Secrets) -> tuple[_Demo, ...]:
    # The token says which account calls: each has its own.
    token = secrets.access_token
    return (
        _Demo(ChannelKind.WHATSAPP, DEMO_NUMBER, DEMO_BUSINESS, token),
        _Demo(ChannelKind.MESSENGER, DEMO_PAGE, None, f"{token}-page"),
        _Demo(ChannelKind.INSTAGRAM, DEMO_INSTAGRAM, DEMO_INSTAGRAM_PAGE, f"{token}-instagram"),
    )
