"""``rtclassify devices``: the sound cards, by the names that ``--source`` takes."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rtclassify.sources.cards import Card


def devices(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """List the sound cards that can be listened to."""
    from rtclassify.sources.cards import list_cards

    cards = list_cards()
    if as_json:
        print(json.dumps([_entry(card) for card in cards], indent=2, ensure_ascii=False))
    elif cards:
        _print_table(cards)
    else:
        print("There is no sound card with inputs here; --source demo, a URL or a file needs none.")


def _entry(card: Card) -> dict[str, str | int | bool]:
    return {
        "source": f"soundcard:{card.name}",
        "host": card.host,
        "inputs": card.inputs,
        "rate": card.rate,
        "default": card.default,
    }


def _print_table(cards: list[Card]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for heading in ("source", "inputs", "rate", "sound system"):
        table.add_column(heading, overflow="fold")
    for card in cards:
        # Quoted for a shell: names of cards hold spaces and brackets.
        source = Text(shlex.quote(f"soundcard:{card.name}"), style="bold")
        if card.default:
            source.append("\ndefault", style="not bold cyan")
        table.add_row(source, str(card.inputs), f"{card.rate:,} Hz", card.host)
    Console().print(table)
