"""`chinwag endpoint`: connect model servers, own and hosted, and see what they can do. Keys are typed hidden or read from a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from bots.admin.endpoints import endpoints, forms, presets, status
from bots.admin.endpoints.forms import PRICES, InvalidEndpoint, Wish
from bots.admin.money import money
from bots.storage.endpoints import EndpointRow
from chinwag.cli import endpoint_probe
from chinwag.cli.use_cases import use_cases
from inference.catalog import Catalog, load
from inference.errors import CatalogError

app = typer.Typer(no_args_is_help=True, help="Connect, probe, change and remove model servers.")

_LARGEST_KEY = 16 * 1024
_Name = Annotated[str, typer.Argument(help="The endpoint's name.")]
_Folder = Annotated[
    Path | None,
    typer.Option(
        "--catalog",
        envvar="CHINWAG_MODEL_CATALOG",
        help="Folder with your own model files; a file with the key of a shipped model replaces that model.",
    ),
]
_Url = Annotated[str | None, typer.Option(help="Address up to and including /v1.")]
_Model = Annotated[str | None, typer.Option(help="The model's name on that server.")]
_Leaves = Annotated[bool | None, typer.Option("--leaves-house/--stays", help="Whether what people write leaves your own servers.")]
_Price = Annotated[str | None, typer.Option(metavar="USD", help="Price per million tokens, such as 0.10; empty: not known.")]
_KeyFile = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, readable=True, help="File that holds the API key.")]
_NoKey = Annotated[bool, typer.Option("--no-key", help="This hosted endpoint needs no key.")]
_RetiredOk = Annotated[bool, typer.Option("--retired-ok", help="Connect the model even though it is switched off.")]
_PriceAsGiven = Annotated[
    bool, typer.Option("--price-as-given", help="Keep a price that looks like one for another number of tokens than a million.")
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
#: The options for the page's fields.
_OPTIONS = {
    "name": "NAME",
    "url": "--url",
    "model": "--model",
    "leaves_house": "--stays",
    "api_key": "--key-file",
    "price_in": "--price-in",
    "price_cached": "--price-cached",
    "price_out": "--price-out",
    "price_as_given": "--price-as-given",
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
        str | None,
        typer.Option(metavar="KEY", help="Take the address, name and price from the catalog; `chinwag model list` shows the keys."),
    ] = None,
    provider: Annotated[str | None, typer.Option(help="Whose catalog entry to take when several providers have one.")] = None,
    retired_ok: _RetiredOk = False,
    price_as_given: _PriceAsGiven = False,
    catalog: _Folder = None,
) -> None:
    """Connect a model server. Unless --stays says that it is your own, what people write counts as leaving your servers.

    Try: chinwag endpoint add local --url http://127.0.0.1:8000/v1 --model llama-4-scout --stays
    """
    known, typed = _catalog(catalog), {"price_in": price_in, "price_cached": price_cached, "price_out": price_out}
    begun = _begun(known, catalog_model, provider, stays=leaves_house is False) if catalog_model else None
    prices = _prices(typed)
    if begun is not None and begun.offer is not None:
        offer = {"price_in": begun.offer.tokens_in, "price_cached": begun.offer.tokens_cached, "price_out": begun.offer.tokens_out}
        prices = {key: prices[key] if typed[key] is not None else usd for key, usd in offer.items()}
    with use_cases() as (deps, operator), _options():
        form = forms.checked(
            name=name,
            url=(url if url is not None else begun.url if begun else "").strip(),
            model=(model if model is not None else begun.model if begun else "").strip(),
            leaves_house=leaves_house is not False,
            prices=prices,
        )
        wish = Wish(
            form=form, api_key=_key_of(key_file) if key_file else "", no_key=no_key, retired_ok=retired_ok, price_as_given=price_as_given
        )
        row = endpoints.add(deps, operator, wish, known)
    _warn(row, known)
    sys.stdout.write(
        f"{name} is connected. `chinwag endpoint probe {name}` probes it, `chinwag profile set default {name}` makes it answer.\n"
    )


@app.command("list")
def list_(*, as_json: _Json = False, catalog: _Folder = None) -> None:
    """List all endpoints: address, model, price, profiles, and the state of the probe."""
    known = _catalog(catalog)
    with use_cases() as (deps, operator):
        rows = endpoints.list_all(deps, operator)
    if as_json:
        _print_json([_as_json(row, known) for row in rows])
        return
    for row in rows:
        where = "hosted" if row.leaves_house else "own"
        now = status.status_of(row)
        profiles = f"  profiles {', '.join(row.profiles)}" if row.profiles else "  no profile"
        sys.stdout.write(f"{row.name}  {where}  {row.model} at {status.host(row)}  {_price(row)}{profiles}  {now.message}\n")
    if not rows:
        sys.stdout.write(
            "No endpoint yet: the worker's own model answers for every profile. `chinwag endpoint add --help` explains how to connect one.\n"
        )


@app.command()
def show(name: _Name, *, as_json: _Json = False, catalog: _Folder = None) -> None:
    """Show one endpoint with the results of its probe."""
    known = _catalog(catalog)
    with use_cases() as (deps, operator):
        row = endpoints.get(deps, operator, name)
    if as_json:
        _print_json(_as_json(row, known))
        return
    where = "hosted: data leaves your servers" if row.leaves_house else "own: data stays on your servers"
    sys.stdout.write(f"{row.name}: {row.model} at {row.url}\n  {where}; key {'stored' if row.key else 'none'}; {_price(row)}\n")
    sys.stdout.write(f"  Profiles: {', '.join(row.profiles) or 'none, so nothing is sent to it'}\n")
    endpoint_probe.tell(row)
    _warn(row, known)


@app.command()
def change(
    name: _Name,
    new_name: Annotated[str | None, typer.Option("--name", help="Its new name.")] = None,
    url: _Url = None,
    model: _Model = None,
    leaves_house: _Leaves = None,
    price_in: _Price = None,
    price_cached: _Price = None,
    price_out: _Price = None,
    no_key: _NoKey = False,
    retired_ok: _RetiredOk = False,
    price_as_given: _PriceAsGiven = False,
    catalog: _Folder = None,
) -> None:
    """Change the given values of an endpoint. When the model or the address changes, it is probed again; when the server changes, its key is removed."""
    known, typed = _catalog(catalog), {"price_in": price_in, "price_cached": price_cached, "price_out": price_out}
    prices = _prices(typed)
    with use_cases() as (deps, operator), _options(_OPTIONS | {"leaves_house": "--leaves-house"}):
        before = endpoints.get(deps, operator, name)
        form = forms.checked(
            name=name if new_name is None else new_name,
            url=(before.url if url is None else url).strip(),
            model=(before.model if model is None else model).strip(),
            leaves_house=before.leaves_house if leaves_house is None else leaves_house,
            prices={key: getattr(before, key) if typed[key] is None else prices[key] for key in PRICES},
        )
        wish = Wish(form=form, no_key=no_key, retired_ok=retired_ok, price_as_given=price_as_given)
        changed = endpoints.change(deps, operator, name, wish, known)
    _warn(changed.row, known)
    lost = f"; its key was for another server: `chinwag endpoint key {changed.row.name}`" if changed.lost_key else ""
    sys.stdout.write(f"{changed.row.name} is changed{lost}\n")


@app.command()
def key(
    name: _Name,
    key_file: _KeyFile = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the key.")] = False,
) -> None:
    """Replace an endpoint's API key: asks for it (hidden) unless a file is given."""
    with use_cases() as (deps, operator), _options():
        endpoints.get(deps, operator, name)
        given = None if remove else _key_of(key_file) if key_file else str(typer.prompt("API key", hide_input=True))
        endpoints.set_key(deps, operator, name, given)
    sys.stdout.write(f"{name}: the key is {'removed' if remove else 'replaced; a worker tries it'}\n")


@app.command()
def probe(
    name: _Name, timeout_s: Annotated[float, typer.Option("--timeout", min=1, max=3600, help="Longest wait, in seconds.")] = 300.0
) -> None:
    """Let a worker probe an endpoint, wait, and show the result. Exit code 1 when it cannot be used or was not probed in time."""
    with use_cases() as (deps, operator):
        endpoints.probe(deps, operator, name)
        can_be_used = endpoint_probe.follow(deps, operator, name, timeout_s=timeout_s)
    if not can_be_used:
        raise typer.Exit(1)


@app.command()
def remove(name: _Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove an endpoint with its key; every profile stops using it."""
    with use_cases() as (deps, operator):
        row = endpoints.get(deps, operator, name)
        if not yes:
            used = f" These profiles use it: {', '.join(row.profiles)}." if row.profiles else ""
            typer.confirm(f"Remove {name} with its key?{used}", abort=True)
        endpoints.remove(deps, operator, name)
    sys.stdout.write(f"{name} is removed\n")


@contextmanager
def _options(named: Mapping[str, str] = _OPTIONS) -> Generator[None]:
    """Report invalid values by the names of their options, and end with exit code 2; nothing is stored."""
    try:
        yield
    except InvalidEndpoint as error:
        for field, message in error.errors.items():
            sys.stderr.write(f"{named.get(field, field)}: {message}{_HOW.get(field, '') if 'say so' in message else ''}\n")
        raise typer.Exit(2) from error


def _catalog(folder: Path | None) -> Catalog:
    try:
        return load(folder)
    except CatalogError as error:
        sys.stderr.write(f"{error}\n")
        raise typer.Exit(2) from error


def _begun(catalog: Catalog, key: str, provider: str | None, *, stays: bool) -> presets.Preset:
    """The catalog's entry for a model, on one's own engine or at one provider; anything else ends the command."""
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
    for key, given in typed.items():
        try:
            found[key] = forms.price(given or "")
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
    for message in status.warnings(row, catalog, today=endpoints.today()):
        sys.stderr.write(f"note  {message}\n")


def _as_json(row: EndpointRow, catalog: Catalog) -> dict[str, Any]:
    plain = {key: getattr(row, key) for key in ("name", "url", "model", "leaves_house", *PRICES)}
    return plain | {
        "has_key": row.key is not None,
        "profiles": list(row.profiles),
        "state": status.status_of(row).state,
        "probed_at": row.probed_at.isoformat() if row.probed_at else None,
        "traits": dict(row.traits),
        "notes": list(row.notes),
        "warnings": status.warnings(row, catalog, today=endpoints.today()),
    }


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
