"""``rtclassify keys``: make key pairs, list whom the daemon lets in, let somebody in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from rtclassify.errors import ConfigError, UsageError

app = typer.Typer(
    help="Make and list keys for subscribers on other machines.",
    no_args_is_help=True,
)
Config = Annotated[
    Path | None,
    typer.Option(help="Settings; else ./rtclassify.toml or /etc/rtclassify.toml, if there."),
]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Whose keys they are.")],
    folder: Annotated[Path, typer.Option(help="Where to put them.")] = Path(),
) -> None:
    """Make a pair of keys: a secret one to keep, and a public one to hand out."""
    from rtclassify.keys import new_pair

    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*", name):
        raise UsageError(f"{name!r} is no name for a file of keys; use letters, digits, - and _.")
    public, secret = new_pair(folder, name)
    print(f"{secret}  secret: keep it here, readable by you alone")
    print(f"{public}  public: give it to the other side")


@app.command(name="list")
def list_(config: Config = None) -> None:
    """Print the daemon's public key and those that it lets in, one a line: key, then name."""
    from rtclassify.cli.run import read_settings
    from rtclassify.keys import read_allowed, read_public

    security = read_settings(config, {}).security
    if security.server_key:
        print(f"{read_public(security.server_key).decode()}  this daemon")
    for key, name in read_allowed(_clients(security.clients)).items():
        print(f"{key.decode()}  {name}")


@app.command()
def allow(
    file: Annotated[Path, typer.Argument(help="A subscriber's public key, NAME.key.")],
    config: Config = None,
) -> None:
    """Let the holder of a key subscribe, once the daemon has reloaded its settings."""
    from rtclassify.cli.run import read_settings
    from rtclassify.keys import add_allowed

    place = add_allowed(_clients(read_settings(config, {}).security.clients), file)
    print(f"{place}  let in from the next `systemctl reload rtclassify` on")


def _clients(folder: Path | None) -> Path:
    if folder is None:
        raise ConfigError("security.clients is not set; name the directory of allowed keys there.")
    return folder
