"""What a fresh stack holds: a bot, the console account of the chat page, and a practice WhatsApp account. Safe to run again."""

from __future__ import annotations

import httpx
from sqlalchemy import Connection

from bots.crypto import Keyring
from bots.domain import ChannelKind
from bots.settings import Settings
from bots.storage import accounts, admin, database, personas, tenants
from chinwag.local.ground import Secrets

DEMO_NUMBER = "700800900100200"
_PERSONA = (
    "You are a friendly assistant in a chat. Answer in the person's own language, in at most three short sentences. "
    "Say it plainly when you do not know something."
)


def prepare(settings: Settings, secrets: Secrets) -> str:
    """Make what is missing; returns a one-time token for the admin page."""
    engine = database.open_engine(settings.owner_database_url, pool=2, name="local")
    try:
        with database.unit(engine) as connection:
            _fill(connection, Keyring.from_settings(settings), secrets)
        return admin.new_link(engine)
    finally:
        engine.dispose()


def _fill(connection: Connection, keyring: Keyring, secrets: Secrets) -> None:
    tenant = tenants.default(connection)
    bot = personas.get(connection, tenant=tenant, name="demo")
    if bot is None:
        bot = personas.put(connection, tenant=tenant, name="demo", persona=_PERSONA, profile="default")
    if accounts.find(connection, channel=ChannelKind.CONSOLE, name="console") is None:
        accounts.add(connection, keyring, tenant=tenant, bot=bot.id, channel=ChannelKind.CONSOLE, name="console", external_id="console")
    if accounts.find(connection, channel=ChannelKind.WHATSAPP, name="demo") is None:
        accounts.add(
            connection,
            keyring,
            tenant=tenant,
            bot=bot.id,
            channel=ChannelKind.WHATSAPP,
            name="demo",
            external_id=DEMO_NUMBER,
            app_secret=secrets.app_secret,
            verify_token=secrets.verify_token,
            access_token=secrets.access_token,
        )


def register(platform_url: str, web_url: str, secrets: Secrets) -> None:
    """Tell the practice platform about the demo account. Raises httpx.HTTPError."""
    answer = httpx.post(
        f"{platform_url}/_practice/numbers",
        json={
            "phone_number_id": DEMO_NUMBER,
            "webhook_url": f"{web_url}/webhooks/whatsapp/demo",
            "app_secret": secrets.app_secret,
            "access_token": secrets.access_token,
            "verify_token": secrets.verify_token,
        },
        timeout=10,
        # Loopback never goes through a proxy.
        trust_env=False,
    )
    answer.raise_for_status()
