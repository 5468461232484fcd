"""Records why webhooks are refused: the signature doctor's diagnosis, at most once a second per account. Nothing is accepted here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import Engine

from bots.channels import signature_doctor
from bots.channels.signature_doctor import Diagnosis
from bots.crypto import Keyring
from bots.domain import Account
from bots.errors import CannotOpen, StorageUnavailable
from bots.storage import accounts, setup_notes
from bots.storage.database import hot

log = structlog.get_logger()

_ONCE_IN_S = 1.0


class Refusals:
    """Records refusals for one process. An error here loses only the record."""

    def __init__(self, *, engine: Engine, keyring: Keyring, clock: Callable[[], float]) -> None:
        self._engine, self._keyring, self._clock = engine, keyring, clock
        self._noted: dict[UUID, float] = {}
        #: One at a time, so that whoever sends forged webhooks cannot cause more work.
        self._busy = threading.Lock()

    def is_due(self, account: Account) -> bool:
        """Whether a refusal would be recorded now: not again within a second."""
        return self._clock() - self._noted.get(account.id, -_ONCE_IN_S) >= _ONCE_IN_S

    def webhook(self, account: Account, headers: Mapping[str, str], body: bytes, secrets: tuple[str, ...]) -> None:
        """Record why a webhook was refused."""
        self._note(account, lambda: signature_doctor.diagnose(headers, body, secrets, self._others(account)))

    def handshake(self, account: Account, query: Mapping[str, str], verify_token: str | None) -> None:
        """Record why a handshake was refused."""
        self._note(account, partial(signature_doctor.diagnose_handshake, query, verify_token))

    def _note(self, account: Account, diagnose: Callable[[], Diagnosis]) -> None:
        if not self.is_due(account) or not self._busy.acquire(blocking=False):
            return
        try:
            self._noted[account.id] = self._clock()
            found = diagnose()
            log.info("webhook_refused", account=account.name, code=found.code)
            setup_notes.note_refusal(self._engine, account.id, str(found))
        except StorageUnavailable:
            log.warning("refusal_not_noted", account=account.name)
        finally:
            self._busy.release()

    def _others(self, account: Account) -> dict[str, str]:
        """The app secrets of the tenant's other accounts."""
        with hot(self._engine) as connection:
            known = accounts.list_all(connection)
        found: dict[str, str] = {}
        for other in known:
            if other.tenant_id != account.tenant_id or other.id == account.id:
                continue
            try:
                secrets = accounts.open_secrets(self._keyring, other).app_secrets
            except CannotOpen:
                continue
            if secrets:
                found[f"{other.channel.value}/{other.name}"] = secrets[0]
        return found
