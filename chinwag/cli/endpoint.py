"""`chinwag endpoint`: connect model servers, own and hosted, and see what they can do. Keys are typed hidden or read from a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from bots.admin.endpoints import endpoints as models
from bots.admin.endpoints import forms as endpoint_forms
from bots.admin.endpoints import presets
from bots.admin.endpoints import status as endpoint_words
from bots.admin.endpoints.forms import PRICES, Unfit, Wish
from bots.admin.money import money
from bots.storage import endpoints
from bots.storage.endpoints import EndpointRow
from chinwag.cli import endpoint_probe
from chinwag.cli.database import desk
from inference.catalog import Catalog, load
from inference.errors import CatalogError

app = typer.Typer(no_args_is_help=True, help="Connect, measure, change and remove the model servers that answer.")

_ACTOR = "cli"
_LARGEST_KEY = 16 * 1024
_Name = Annotated[str, typer.Argument(help="The endpoint's name.")]
_Folder = Annotated[
    Path | None,
    typer.Option(
        "--catalog", envvar="CHINWAG_MODEL_CATALOG", help="Folder with model files of your own; the same key replaces a shipped one."
    ),
]
_Url = Annotated[str | None, typer.Option(help="Address up to and including /v1.")]
_Model = Annotated[str | None, typer.Option(help="The model's name on that server.")]
_Leaves = Annotated[
    bool | None, typer.Option("--leaves-house/--stays", help="Whether what people write leaves the house on the way to it.")
]
_Price = Annotated[str | None, typer.Option(metavar="USD", help="For a million tokens, such as 0.10; empty: not known.")]
_KeyFile = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, readable=True, help="File that holds the API key.")]
_NoKey = Annotated[bool, typer.Option("--no-key", help="This hosted endpoint asks for no key.")]
_RetiredOk = Annotated[bool, typer.Option("--retired-ok", help="A model that is switched off, all the same.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
#: What the command line calls the fields of the page.
_OPTIONS = {
    "name": "NAME",
    "url": "--url",
    "model": "--model",
    "leaves_house": "--stays",
    "api_key": "--key-file",
    "price_in": "--price-in",
    "price_cached": "--price-cached",
    "price_out": "--price-out",
}
_HOW = {"api_key": " (--no-key)", "leaves_house": " (--no-key)", "model": " (--retired-ok)"}


@app.command()
def add(
    name: _Name,
    url: _Url = None,
    model: _Model = None,
    leaves_house: _Leaves = None,
    key_file: _KeyFile = None,
    no_key: _NoKey = False,
    price_in: _Price = None,
    price_cached: _Price = None,
    price_out: _Price = None,
    catalog_model: Annotated[
        str | None, typer.Option(metavar="KEY", help="Take address, name and price from the catalog; `chinwag model list` shows it.")
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Whose price of the catalog, where several have one.")] = None,
    retired_ok: _RetiredOk = False,
    catalog: _Folder = None,
) -> None:
    """Connect a model server. Unless --stays says that it is your own, what people write leaves the house on the way to it.

    Try: chinwag endpoint add local --url http://127.0.0.1:8000/v1 --model llama-4-scout --stays
    """
    known, typed = _catalog(catalog), {"price_in": price_in, "price_cached": price_cached, "price_out": price_out}
    begun = _begun(known, catalog_model, provider, stays=leaves_house is False) if catalog_model else None
    prices = _prices(typed)
    if begun is not None and begun.offer is not None:
        offer = {"price_in": begun.offer.tokens_in, "price_cached": begun.offer.tokens_cached, "price_out": begun.offer.tokens_out}
        prices = {key: prices[key] if typed[key] is not None else usd for key, usd in offer.items()}
    with desk() as at, _options():
        form = endpoint_forms.checked(
            name=name,
            url=(url if url is not None else begun.url if begun else "").strip(),
            model=(model if model is not None else begun.model if begun else "").strip(),
            leaves_house=leaves_house is not False,
            prices=prices,
        )
        wish = Wish(form=form, api_key=_key_of(key_file) if key_file else "", no_key=no_key, retired_ok=retired_ok)
        endpoint_forms.admit(wish, known, today=_today())
        row = models.add(at.connection, at.keyring, wish, tenant=at.tenant, actor=_ACTOR)
    _warn(row, known)
    sys.stdout.write(
        f"{name} is connected. `chinwag endpoint probe {name}` measures it, `chinwag profile set default {name}` lets it answer.\n"
    )


@app.command("list")
def list_(*, as_json: _Json = False, catalog: _Folder = None) -> None:
    """List all endpoints: where, which model, at what price, in which profiles, and how the probe went."""
    known = _catalog(catalog)
    with desk() as at:
        rows = endpoints.list_all(at.connection, at.tenant)
    if as_json:
        _print_json([_as_json(row, known) for row in rows])
        return
    for row in rows:
        where = "hosted" if row.leaves_house else "own"
        now = endpoint_words.standing(row)
        profiles = f"  profiles {', '.join(row.profiles)}" if row.profiles else "  no profile"
        sys.stdout.write(f"{row.name}  {where}  {row.model} at {endpoint_words.host(row)}  {_price(row)}{profiles}  {now.word}\n")
    if not rows:
        sys.stdout.write("No endpoint: every profile is answered by the worker's own model. `chinwag endpoint add --help` connects one.\n")


@app.command()
def show(name: _Name, *, as_json: _Json = False, catalog: _Folder = None) -> None:
    """Show one endpoint with what was measured of it."""
    known = _catalog(catalog)
    with desk() as at:
        row = models.wanted(at.connection, tenant=at.tenant, name=name)
    if as_json:
        _print_json(_as_json(row, known))
        return
    where = "hosted: data leaves the house" if row.leaves_house else "own: data stays in the house"
    sys.stdout.write(f"{row.name}: {row.model} at {row.url}\n  {where}; key {'kept' if row.key else 'none'}; {_price(row)}\n")
    sys.stdout.write(f"  Profiles: {', '.join(row.profiles) or 'none, so nothing is sent there'}\n")
    endpoint_probe.tell(row)
    _warn(row, known)


@app.command()
def change(
    name: _Name,
    new_name: Annotated[str | None, typer.Option("--name", help="Call it so from now on.")] = None,
    url: _Url = None,
    model: _Model = None,
    leaves_house: _Leaves = None,
    price_in: _Price = None,
    price_cached: _Price = None,
    price_out: _Price = None,
    no_key: _NoKey = False,
    retired_ok: _RetiredOk = False,
    catalog: _Folder = None,
) -> None:
    """Change what is given of an endpoint. On another server it loses its key; another model or address is measured anew."""
    known, typed = _catalog(catalog), {"price_in": price_in, "price_cached": price_cached, "price_out": price_out}
    prices = _prices(typed)
    with desk() as at, _options(_OPTIONS | {"leaves_house": "--leaves-house"}):
        before = models.wanted(at.connection, tenant=at.tenant, name=name)
        form = endpoint_forms.checked(
            name=name if new_name is None else new_name,
            url=(before.url if url is None else url).strip(),
            model=(before.model if model is None else model).strip(),
            leaves_house=before.leaves_house if leaves_house is None else leaves_house,
            prices={key: getattr(before, key) if typed[key] is None else prices[key] for key in PRICES},
        )
        wish = Wish(form=form, no_key=no_key, retired_ok=retired_ok)
        row = models.change(at.connection, wish, known, today=_today(), tenant=at.tenant, name=name, actor=_ACTOR)
    _warn(row, known)
    lost = before.key is not None and row.key is None
    sys.stdout.write(f"{row.name} is changed{f'; its key was for another server: `chinwag endpoint key {row.name}`' if lost else ''}\n")


@app.command()
def key(
    name: _Name,
    key_file: _KeyFile = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the key away.")] = False,
) -> None:
    """Replace an endpoint's API key: asks for it (hidden) unless a file is given."""
    with desk() as at:
        models.wanted(at.connection, tenant=at.tenant, name=name)
    # Asked for outside of any transaction: somebody types.
    given = None if remove else _key_of(key_file) if key_file else str(typer.prompt("API key", hide_input=True))
    with desk() as at, _options():
        models.set_key(at.connection, at.keyring, tenant=at.tenant, name=name, api_key=given, actor=_ACTOR)
    sys.stdout.write(f"{name}: the key is {'taken away' if remove else 'replaced; a worker tries it'}\n")


@app.command()
def probe(
    name: _Name, timeout_s: Annotated[float, typer.Option("--timeout", min=1, max=3600, help="Longest wait, in seconds.")] = 300.0
) -> None:
    """Let a worker measure an endpoint, wait, and show what it found. Exit code 1 when the endpoint cannot be used or nobody measured it."""
    with desk() as at:
        models.probe(at.connection, tenant=at.tenant, name=name, actor=_ACTOR)
    if not endpoint_probe.follow(name, timeout_s=timeout_s):
        raise typer.Exit(1)


@app.command()
def remove(name: _Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove an endpoint with its key, out of every profile too."""
    with desk() as at:
        row = models.wanted(at.connection, tenant=at.tenant, name=name)
    if not yes:
        used = f" The profiles {', '.join(row.profiles)} use it." if row.profiles else ""
        typer.confirm(f"Remove {name} with its key?{used}", abort=True)
    with desk() as at:
        models.remove(at.connection, tenant=at.tenant, name=name, actor=_ACTOR)
    sys.stdout.write(f"{name} is removed\n")


@contextmanager
def _options(named: Mapping[str, str] = _OPTIONS) -> Generator[None]:
    """Tell what cannot be used by the name of its option, and end with exit code 2; nothing is kept."""
    try:
        yield
    except Unfit as error:
        for field, words in error.errors.items():
            sys.stderr.write(f"{named.get(field, field)}: {words}{_HOW.get(field, '') if 'say so' in words else ''}\n")
        raise typer.Exit(2) from error


def _catalog(folder: Path | None) -> Catalog:
    try:
        return load(folder)
    except CatalogError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error


def _begun(catalog: Catalog, key: str, provider: str | None, *, stays: bool) -> presets.Preset:
    """What the catalog has of a model, on an engine of one's own or at one provider; anything else ends the command."""
    try:
        model = catalog.get(key)
    except CatalogError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error
    found = [one for one in presets.presets(catalog) if one.row == model and one.leaves_house is not stays]
    if stays and found:
        return found[0]
    named = [one for one in found if provider is None or (one.offer and one.offer.provider.lower() == provider.lower())]
    if len(named) == 1:
        return named[0]
    there = sorted({f"{one.offer.provider} ({one.offer.model})" for one in found if one.offer})
    if not there:
        why = f"{model.title} has no {'weights to run' if stays else 'hosted price'} in the catalog; give --url and --model without --catalog-model."
    else:
        why = (
            f"--provider: {model.title} is priced at {', '.join(there)}. Name one; where one has two, give --model and the prices by hand."
        )
    sys.stderr.write(f"{why}\n")
    raise typer.Exit(2)


def _prices(typed: dict[str, str | None]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for key, words in typed.items():
        try:
            found[key] = endpoint_forms.price(words or "")
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=_OPTIONS[key]) from error
    return found


def _key_of(file: Path) -> str:
    with file.open("rb") as source:
        return source.read(_LARGEST_KEY).decode("utf-8", "replace").strip()


def _price(row: EndpointRow) -> str:
    if row.price_in is None:
        return "no price"
    cached = "" if row.price_cached is None else f", {money(row.price_cached)} cached"
    return f"{money(row.price_in)} in{cached}, {money(row.price_out)} out"


def _warn(row: EndpointRow, catalog: Catalog) -> None:
    for words in endpoint_words.warnings(row, catalog, today=_today()):
        sys.stderr.write(f"look  {words}\n")


def _as_json(row: EndpointRow, catalog: Catalog) -> dict[str, Any]:
    plain = {key: getattr(row, key) for key in ("name", "url", "model", "leaves_house", *PRICES)}
    return plain | {
        "has_key": row.key is not None,
        "profiles": list(row.profiles),
        "state": endpoint_words.standing(row).state,
        "probed_at": row.probed_at.isoformat() if row.probed_at else None,
        "traits": dict(row.traits),
        "notes": list(row.notes),
        "warnings": endpoint_words.warnings(row, catalog, today=_today()),
    }


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")


def _today() -> Any:
    return datetime.now(UTC).date()
