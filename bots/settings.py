"""Every setting of web, workers and dispatcher: name, type, default, unit and meaning. Nothing else reads the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import quote, urlsplit, urlunsplit
from zoneinfo import available_timezones

from bots.errors import BadSetting

_PREFIX = "CHINWAG_"
#: Prefixes of other packages' settings, which are checked there.
_OTHER_PREFIXES = ("CHINWAG_MODEL_", "CHINWAG_LOCAL_", "CHINWAG_ENGINE_", "CHINWAG_TEST_", "CHINWAG_BENCH_")
#: Addresses whose password may be in a file instead (docs/decisions/0011).
_PASSWORD_FILES = {
    "owner_database_url": "owner_database_password_file",
    "web_database_url": "web_database_password_file",
    "worker_database_url": "worker_database_password_file",
    "crossing_database_url": "crossing_database_password_file",
    "redis_url": "redis_password_file",
}
_LONGEST_PASSWORD = 4096
#: In which the supervisor of `make run` tells the web the file descriptor of its listening socket.
LISTENER = "CHINWAG_LOCAL_LISTENER"
#: Work that waits for a model looks again after this time at the latest: another endpoint may answer by then, or an operator changed something.
_LONGEST_WAIT_S = 300.0
#: For recording what came of a send.
_STALE_MARGIN_S = 5.0


def _setting(default: Any, meaning: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"meaning": meaning}, repr=not secret)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of web, workers and dispatcher; CHINWAG_NAME_IN_CAPITALS in the environment."""

    owner_database_url: str = _setting("", "Postgres address of the owner role; for migrations only", secret=True)
    web_database_url: str = _setting("", "Postgres address of the login role chinwag_web", secret=True)
    worker_database_url: str = _setting("", "Postgres address of the login role chinwag_worker", secret=True)
    crossing_database_url: str = _setting("", "Postgres address of the login role chinwag_crossing", secret=True)
    redis_url: str = _setting("", "Redis address; redis+socket:// for a socket", secret=True)
    owner_database_password_file: str = _setting("", "file with the owner's password, in place of one in the address")
    web_database_password_file: str = _setting("", "file with chinwag_web's password, in place of one in the address")
    worker_database_password_file: str = _setting("", "file with chinwag_worker's password, in place of one in the address")
    crossing_database_password_file: str = _setting("", "file with chinwag_crossing's password, in place of one in the address")
    redis_password_file: str = _setting("", "file with Redis's password, in place of one in the address")
    keys: str = _setting("", "Fernet keys that encrypt secrets, newest first, separated by commas", secret=True)
    keys_file: str = _setting("", "file with the Fernet keys, one per line, newest first")

    web_host: str = _setting("127.0.0.1", "address that the web process listens on")
    web_port: int = _setting(8080, "port that the web process listens on")
    web_max_body_bytes: int = _setting(4 * 1024 * 1024, "largest webhook body, in bytes")
    web_max_concurrent: int = _setting(1024, "webhooks in hand at once, most of them waiting for their turn; more are answered with 503")
    web_connections: int = _setting(1000, "connections open at once; of more, those that have waited longest for their peer have to go")
    web_trusted_proxies: str = _setting("", "addresses or networks of proxies whose X-Forwarded-For counts, separated by commas")
    web_pool: int = _setting(16, "Postgres connections of the web process, and its threads")
    simulator: bool = _setting(
        False,  # noqa: FBT003 - a default like the others
        "serve the chat page, where a visitor can write as any contact; to this machine only",
    )
    answering_file: str = _setting("", "file in which `make run` says what the chat page tells about the model that answers")

    graph_url: str = _setting("https://graph.facebook.com", "address of Meta's Graph API")
    instagram_graph_url: str = _setting("https://graph.instagram.com", "address of the Graph API for Instagram login")
    graph_version: str = _setting("v25.0", "version of the Graph API")
    send_deadline_s: float = _setting(15.0, "longest time for one call to a platform, in seconds")
    media_hosts: str = _setting(
        "*.fbcdn.net,*.fbsbx.com,*.cdninstagram.com,*.whatsapp.net,graph.facebook.com,graph.instagram.com",
        "hosts that pictures are fetched from by https, separated by commas; http://127.0.0.1:port for a practice platform",
    )
    media_max_bytes: int = _setting(16 * 1024 * 1024, "largest picture that is fetched, in bytes")
    media_deadline_s: float = _setting(20.0, "longest time to fetch the pictures of one turn, in seconds")
    media_patience_s: float = _setting(15.0, "how long an answer waits for a picture that cannot be fetched, in seconds")

    worker_slots: int = _setting(64, "turns that one worker process works on at once")
    worker_pool: int = _setting(24, "Postgres connections of a worker process")
    task_run_s: float = _setting(20.0, "how long one Celery task continues to claim due conversations, in seconds")
    task_deadline_s: float = _setting(180.0, "a turn older than this ends its process, in seconds")
    stop_grace_s: float = _setting(30.0, "time for running turns after SIGTERM, in seconds")
    lease_s: float = _setting(60.0, "how long a claimed conversation stays claimed without renewal, in seconds")
    lease_renew_s: float = _setting(15.0, "how often a process renews its leases, in seconds")
    heartbeat_s: float = _setting(5.0, "how often a worker reports its slots, in seconds")
    journal_to_bytes_s: float = _setting(5.0, "longest time between journaling a send and its first byte, in seconds")

    dispatch_tick_s: float = _setting(
        0.1, "how often the dispatcher checks for due work that nobody told it about, in seconds; ten times as long where nothing happens"
    )
    debounce_s: float = _setting(
        1.5,
        "shortest wait for another message where one is possible; up to three times as long where it is likely, none after a message that says it all; in seconds",
    )
    debounce_cap_s: float = _setting(20.0, "longest wait for more of somebody who goes on writing, in seconds")
    answer_if_younger_s: float = _setting(
        6 * 3600.0, "age of a message, in seconds, above which it is stored but does not get an answer by itself"
    )
    apology_after_s: float = _setting(60.0, "how long the model is unavailable before one apology is sent, in seconds")
    ask_again_s: float = _setting(5.0, "wait before an unavailable model is called again for a turn, in seconds")
    reconcile_s: float = _setting(90.0, "how long an unknown send waits for a report of the platform, in seconds")
    outage_after: int = _setting(3, "conversations whose sends fail alike in a row before an account counts as in outage")
    probe_longest_s: float = _setting(30.0, "longest time between two probes of an account in outage or throttled, in seconds")
    next_part_s: float = _setting(3.0, "how long a part waits for the status of the previous part, in seconds")
    own_error_delays_s: str = _setting("2,8,30,120,600", "delays after internal errors, in seconds; then the turn is dead")
    partial_per_s: float = _setting(5.0, "partial texts per second while a page shows the answer")
    history_tokens: int = _setting(1500, "token budget of the history in a prompt")
    embed_url: str = _setting(
        "", "OpenAI-compatible address of the embedder, up to /v1; without one, earlier turns are found by their words alone"
    )
    embed_model: str = _setting("multilingual-e5-small", "name of the embedding model; each vector is stored with it")
    embed_dimensions: int = _setting(0, "numbers in a vector of that model; 0: any")
    embed_prefixes: str = _setting("server", "none, e5, or server: who adds the prefixes of E5; server: the embedder of `make run` does")
    embed_deadline_s: float = _setting(0.15, "how long an answer waits for the vector of its question, in seconds")
    hearing_url: str = _setting(
        "", "OpenAI-compatible address, up to /v1, of what hears voice messages (audio/transcriptions); without one they are not heard"
    )
    hearing_model: str = _setting("whisper-base", "name of the model there")
    hearing_key: str = _setting("", "key that it wants", secret=True)
    hearing_takes_hints: bool = _setting(
        False,  # noqa: FBT003 - a default like the others
        "it takes `language_hint`, as the one of `make run` does",
    )
    hearing_leaves_house: bool = _setting(
        False,  # noqa: FBT003 - a default like the others
        "it is outside of your network: only what bots may send there is heard",
    )
    hearing_deadline_s: float = _setting(60.0, "longest time to hear one recording before the turn waits, in seconds")
    hearing_patience_s: float = _setting(300.0, "how long an answer waits for a recording that cannot be heard now, in seconds")
    embed_leaves_house: bool = _setting(
        False,  # noqa: FBT003 - a default like the others
        "the embedder is outside of your network: only what bots may send there is embedded",
    )
    time_zone: str = _setting("", "time zone of contacts without a phone number whose bot names none, as an IANA name; empty: UTC")
    images_per_prompt: int = _setting(5, "most pictures in a prompt, the newest ones; the engine's own limit must be no lower")
    answer_tokens: int = _setting(512, "longest answer of the model, in tokens")
    human_hold_s: float = _setting(3600.0, "how long the bot is silent after a person answered in the platform's own inbox, in seconds")
    automatic_reply_s: float = _setting(
        4.0,
        "what leaves the platform's own inbox so soon after a contact's message was sent by itself and does not silence the bot, in seconds",
    )
    remember_after_s: float = _setting(
        120.0,
        "how long a talk is quiet before a model reads it for facts to remember, in seconds; only models that passed `chinwag model trial`; 0: never",
    )
    batch_reserve: int = _setting(16, "slots of a worker process that batches never take: they stay free for people")
    batch_line_bytes: int = _setting(1024 * 1024, "longest line of a batch file, in bytes")
    batch_lease_s: float = _setting(
        150.0, "how long a claimed batch item stays claimed, in seconds; longer than a model call and its retry"
    )
    public_url: str = _setting("", "https address at which platforms reach this service; the set-up pages show it")
    web_hooks_only: bool = _setting(
        False,  # noqa: FBT003 - a default like the others
        "serve only webhooks and health: for the port that is open to the internet",
    )
    metrics_host: str = _setting("127.0.0.1", "address that a process's own /metrics listens on, without a sign-in")
    metrics_port: int = _setting(0, "port of a process's own /metrics; 0: none")
    envelope_days: int = _setting(30, "days that webhooks as they came, people's pictures and the prompts of answers are stored")
    log_level: str = _setting("info", "debug, info, warning or error")

    def wait_s(self, asked_s: float) -> float:
        """How long work waits for a model that may not be asked for so many seconds; 0: not known."""
        return max(self.ask_again_s, min(asked_s, _LONGEST_WAIT_S))

    @property
    def stale_s(self) -> float:
        """How long an attempt to send may stay open: then its process is dead, and it counts as unknown."""
        return self.send_deadline_s + _STALE_MARGIN_S

    def own_error_delay_s(self, tries: int) -> float | None:
        """How long to wait after an internal error before the next try, given the number of tries so far; None: no more tries."""
        delays = [float(delay) for delay in self.own_error_delays_s.split(",") if delay.strip()]
        return delays[tries] if tries < len(delays) else None

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Settings:
        """Build the settings from environment variables. Raises BadSetting with every problem in one message."""
        hints = get_type_hints(cls)
        known = {_PREFIX + f.name.upper(): f.name for f in fields(cls)}
        values: dict[str, Any] = {}
        problems: list[str] = []
        for variable, text in env.items():
            if not variable.startswith(_PREFIX) or variable.startswith(_OTHER_PREFIXES):
                continue
            if variable not in known:
                problems.append(f"{variable} is not a setting")
                continue
            try:
                values[known[variable]] = _read(text, hints[known[variable]])
            except ValueError:
                wanted = hints[known[variable]].__name__
                problems.append(f"{variable} must be a value of type {wanted}")
        if (zone := values.get("time_zone")) and zone not in available_timezones():
            problems.append(f"{_PREFIX}TIME_ZONE must be an IANA name, such as Europe/Lisbon")
        problems += _put_passwords(values)
        if problems:
            raise BadSetting("; ".join(sorted(problems)) + ". See docs/operations.md for the settings.")
        return cls(**values)


def _put_passwords(values: dict[str, Any]) -> list[str]:
    """Put the passwords from files into their addresses, and return what is wrong with them."""
    problems: list[str] = []
    for address, name in _PASSWORD_FILES.items():
        if not values.get(name) or not values.get(address):
            continue
        variable = _PREFIX + name.upper()
        try:
            parts = urlsplit(str(values[address]))
        except ValueError:
            problems.append(f"{_PREFIX}{address.upper()} must be an address")
            continue
        user, _, there = parts.netloc.rpartition("@")
        if ":" in user and not user.endswith(":"):
            problems.append(f"{variable} is set, but {_PREFIX}{address.upper()} contains a password too")
            continue
        try:
            with Path(values[name]).open("rb") as file:
                password = file.read(_LONGEST_PASSWORD + 1).decode().strip()
        except (OSError, UnicodeDecodeError):
            problems.append(f"{variable}: the file cannot be read")
            continue
        if not password.isprintable() or not 0 < len(password) <= _LONGEST_PASSWORD:
            problems.append(f"{variable}: the file does not contain exactly one password")
            continue
        netloc = f"{user.rstrip(':')}:{quote(password, safe='')}@{there}"
        values[address] = urlunsplit(parts._replace(netloc=netloc))
    return problems


def _read(text: str, kind: type) -> Any:
    if kind is bool:
        lowered = text.strip().lower()
        if lowered in {"1", "true", "yes", "on"}:
            return True
        if lowered in {"0", "false", "no", "off", ""}:
            return False
        raise ValueError(text)
    value = kind(text)
    if kind in (int, float) and not 0 <= value < float("inf"):
        raise ValueError(text)
    return value
