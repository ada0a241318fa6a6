"""``rtclassify report``: what a day held, from the journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rtclassify.errors import SinkError

Place = Annotated[Path, typer.Argument(help="The file that [journal] in the settings names.")]
Day = Annotated[
    str | None,
    typer.Option(
        metavar="YYYY-MM-DD", help="Default: yesterday, or the newest if there is nothing of it."
    ),
]
Channels = Annotated[
    list[str] | None,
    typer.Option("--channel", metavar="NAME", help="May be given more than once. Default: all."),
]
Zone = Annotated[str, typer.Option("--tz", metavar="ZONE", help="Whose days and hours count.")]


def report(
    journal: Place,
    day: Day = None,
    channel: Channels = None,
    tz: Zone = "UTC",
    csv_path: Annotated[
        Path | None,
        typer.Option("--csv", metavar="PATH", help="Also write minutes by channel and hour."),
    ] = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="PATH", help="Also write all of it.")
    ] = None,
    html_path: Annotated[
        Path | None,
        typer.Option("--html", metavar="PATH", help="Also write a page, with time bars to zoom."),
    ] = None,
) -> None:
    """Say what a day of the journal held.

    Minutes of each label by channel and hour, the share of music, the longest silences, alarms,
    losses and the error of the clock. The daemon may write the journal meanwhile. Exit code 9:
    the journal is damaged; 2: there is none, or it has nothing of that day.
    """
    from rich.console import Console

    from rtclassify.cli.daybook import minutes_csv, show
    from rtclassify.reports import days
    from rtclassify.reports.day import report as reported

    said = reported(journal, days.parse(day) if day else None, days.zone(tz), channel or ())
    if csv_path:
        _write(csv_path, minutes_csv(said))
    if json_path:
        _write(json_path, json.dumps(said, indent=1, ensure_ascii=False) + "\n")
    if html_path:
        from rtclassify.cli.colours import colour_of
        from rtclassify.reports.page import page

        _write(html_path, page(said, colour_of))
    show(said, Console())


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, "utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise SinkError(f"{path} cannot be written ({error.strerror}); give another.") from error
