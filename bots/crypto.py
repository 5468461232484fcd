"""Secrets at rest: Fernet, bound to the row and column they were sealed for (Fernet itself has no associated data)."""

from __future__ import annotations

import base64
import hmac
import sys
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bots.domain import Sealed
from bots.errors import BadSetting, CannotOpen
from bots.settings import Settings

#: argon2id with the library's parameters (RFC 9106, the low-memory choice).
_passwords = PasswordHasher()
#: The hash of a password that nobody has.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$YWJjZGVmZ2hpamtsbW5vcA$3JzfoN2BZpKBLNkvcnVLYLK0ZGvfYbTPUdEQmUO5IfI"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys that seal and open, newest first."""

    _fernet: MultiFernet = field(repr=False)
    #: The newest key's bytes, from which other keys are derived.
    _newest: bytes = field(repr=False)

    @classmethod
    def from_settings(cls, settings: Settings) -> Keyring:
        """Read the keys from the settings or their file. Raises BadSetting."""
        text = Path(settings.keys_file).read_text() if settings.keys_file else settings.keys
        keys = [key for key in text.replace(",", "\n").split() if key]
        if not keys:
            raise BadSetting(
                "No key to seal secrets with: set CHINWAG_KEYS_FILE to a file that contains one (`python -m bots.crypto` prints a new one)."
            )
        try:
            return cls(MultiFernet([Fernet(key) for key in keys]), base64.urlsafe_b64decode(keys[0]))
        except ValueError as error:
            raise BadSetting("A key in CHINWAG_KEYS is not a Fernet key: 32 bytes in url-safe base64.") from error

    def seal(self, plain: str, *, table: str, row: UUID, column: str) -> Sealed:
        """Encrypt a secret so that it opens for this row and column alone."""
        return Sealed(token=self._fernet.encrypt(_place(table, row, column) + plain.encode()))

    def open(self, sealed: Sealed, *, table: str, row: UUID, column: str) -> str:
        """Decrypt a secret. Raises CannotOpen when its key is missing or the secret was moved to another row or column."""
        try:
            text = self._fernet.decrypt(sealed.token)
        except InvalidToken as error:
            raise CannotOpen from error
        place = _place(table, row, column)
        if not text.startswith(place):
            raise CannotOpen
        return text[len(place) :].decode()

    def derive(self, purpose: str) -> bytes:
        """Return a key of 32 bytes for one purpose. It is the same in every process with these keys, and changes when a newer key is added."""
        return hmac.digest(self._newest, b"chinwag:" + purpose.encode(), "sha256")


def hash_password(password: str) -> str:
    """Hash a password with argon2id, which takes about 50 ms on purpose."""
    return _passwords.hash(password.encode("utf-8", "surrogatepass"))


def password_matches(password: str, known: str | None) -> bool:
    """Whether a password belongs to a hash. Without a hash it is false and takes as long, so nobody can find out which names exist."""
    try:
        return _passwords.verify(known or _NOBODY, password.encode("utf-8", "surrogatepass")) and known is not None
    except (VerificationError, InvalidHashError):
        return False


def new_key() -> str:
    """Make a key for the keyring."""
    return Fernet.generate_key().decode()


def _place(table: str, row: UUID, column: str) -> bytes:
    return f"{table}:{row}:{column}:".encode()


if __name__ == "__main__":
    sys.stdout.write(new_key() + "\n")
