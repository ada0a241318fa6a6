"""``rtclassify watch``: show the label stream in a terminal, or print it as JSON lines."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rtclassify.config import Settings, checked_name
from rtclassify.errors import UsageError

if TYPE_CHECKING:
    from rtclassify.keys import ClientKeys
    from rtclassify.sinks.zmq import Subscription

FRAME_S = 0.2


def watch(
    address: Annotated[
        str, typer.Argument(help="Where `rtclassify run` publishes.")
    ] = Settings().publish,
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A channel to follow; again for more. Default: all."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print messages as JSON lines, as into a pipe.")
    ] = False,
    key: Annotated[
        Path | None, typer.Option(metavar="SECRET", help="Your own key, NAME.key_secret.")
    ] = None,
    server: Annotated[
        Path | None, typer.Option(metavar="PUBLIC", help="The daemon's public key, NAME.key.")
    ] = None,
) -> None:
    """Show live what each channel hears.

    Piped, it prints the messages as JSON lines.
    """
    from rtclassify.sinks.zmq import Subscription

    channels = [checked_name(name) for name in channel or []]
    show = _print if json or not sys.stdout.isatty() else _draw
    subscription = Subscription(address, _topics(channels), _keys(key, server))
    with subscription as stream, contextlib.suppress(KeyboardInterrupt):
        show(stream, address, channels)


def _keys(key: Path | None, server: Path | None) -> ClientKeys | None:
    from rtclassify.keys import client_keys

    if key and server:
        return client_keys(key, server)
    if key or server:
        raise UsageError("--key and --server go together; give both.")
    return None


def _topics(channels: Sequence[str]) -> list[str]:
    kinds = ("label", "segment", "state", "alarm")
    followed = [f"{kind}/{channel}/" for channel in channels for kind in kinds]
    return [*followed, "heartbeat/"] if channels else [""]


def _print(stream: Subscription, _address: str, _channels: Sequence[str]) -> None:
    while True:
        if message := stream.receive(FRAME_S):
            sys.stdout.buffer.write(message.line())
            sys.stdout.buffer.flush()


def _draw(stream: Subscription, address: str, channels: Sequence[str]) -> None:
    from rich.console import Console
    from rich.live import Live

    from rtclassify.cli.board import Board
    from rtclassify.cli.screen import render

    console = Console()
    board = Board(address, channels)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            now = datetime.now().astimezone()
            width, height = console.size
            live.update(render(board, now, width=width, height=height), refresh=True)
            due = time.monotonic() + FRAME_S
            while (left_s := due - time.monotonic()) > 0:
                if message := stream.receive(left_s):
                    board.hear(message, datetime.now().astimezone())
