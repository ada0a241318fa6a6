"""``rtclassify export``: segments out of the journal, and models for the light runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo

import typer

from rtclassify.cli.report import Channels, Day
from rtclassify.config import Settings
from rtclassify.errors import UsageError

if TYPE_CHECKING:
    from rtclassify.cli.format_base import Format
    from rtclassify.reports.reading import Journal
    from rtclassify.reports.segments import Piece

SegmentName = Literal["csv", "audacity", "rttm", "webvtt", "textgrid", "jams"]
ModelName = Literal["tflite", "int8"]
ExportName = Literal[SegmentName, ModelName]
MILLISECONDS = 1000
"""The rate at which formats count: times of day are told in milliseconds."""


def export(
    form: Annotated[ExportName, typer.Option("--format", "-f")],
    journal: Annotated[
        Path | None, typer.Argument(help="The file that [journal] in the settings names.")
    ] = None,
    day: Day = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="UTC", help="Such as 2026-03-14T09:00:00Z.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="UTC", help="The end, with --from.")
    ] = None,
    channel: Channels = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="Where to write, instead of here."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With tflite, int8: a model, or its path."),
    ] = None,
) -> None:
    """Write segments of the journal, or a model for another runtime.

    Of a UTC day, or of any time. Times count from the beginning of the day or from --from; CSV
    has times of day. All formats but CSV and RTTM speak of one channel. The daemon may write the
    journal meanwhile. Exit code 9: the journal is damaged; 2: there is none, or it has nothing of
    that time.

    --format tflite and int8 take --model alone, and put a file into its folder, for --runtime
    litert and int8.
    """
    of_segments = (journal, day, start, end, channel, output)
    if form == "tflite" or form == "int8":  # noqa: PLR1714 - mypy narrows this
        if any(of_segments):
            raise UsageError(f"--format {form} exports a model; give --model NAME and no more.")
        _export_model(model or Settings().model, form)
        return
    if model:
        raise UsageError(f"--format {form} exports segments; --model goes with tflite and int8.")
    if journal is None:
        raise UsageError(f"--format {form} exports segments of a journal; name its file.")
    _export_segments(journal, form, day=day, start=start, end=end, channel=channel, output=output)


def _export_model(name: str, form: ModelName) -> None:
    from rich.console import Console

    from rtclassify.cli.loading import hushed, tensorflow
    from rtclassify.description import INT8, LIGHT, find

    path = find(name)
    with Console(stderr=True).status(f"converting {name}"):
        with tensorflow():
            from rtclassify import bundle, conversion
        with hushed():
            (conversion.export_int8 if form == "int8" else conversion.export)(bundle.read(path))
    print(path / (INT8 if form == "int8" else LIGHT))


def _export_segments(
    journal: Path,
    form: SegmentName,
    *,
    day: str | None,
    start: str | None,
    end: str | None,
    channel: Sequence[str] | None,
    output: Path | None,
) -> None:
    from rich.console import Console

    from rtclassify.cli.formats import SEGMENT_FORMATS
    from rtclassify.cli.output import delivering, opened
    from rtclassify.reports import reading
    from rtclassify.reports.day import refuse_unknown
    from rtclassify.reports.segments import segments

    with reading.opened(journal) as source, reading.garbled(journal):
        start_ms, end_ms = _period(source, day, start, end)
        found = segments(source.rows(start_ms, end_ms), start_ms, end_ms)
        length = source.covered(start_ms, end_ms)[1] - start_ms
    refuse_unknown(channel or (), found, "that time")
    wanted = {name: found[name] for name in channel or found}
    made = SEGMENT_FORMATS[form]
    if made.one_recording and len(wanted) > 1:
        raise UsageError(
            f"--format {form} speaks of one channel; name one of {', '.join(wanted)} with "
            "--channel, or use csv or rttm."
        )
    with opened(output) as out, delivering(str(output or "standard output")):
        writer = made(Console(file=out), _answers(wanted.values()), MILLISECONDS)
        _write(writer, wanted, start_ms, length)


def _period(
    source: Journal, day: str | None, start: str | None, end: str | None
) -> tuple[int, int]:
    """Return the period that was asked for, in milliseconds since 1970."""
    from rtclassify.reports import days

    utc = ZoneInfo("UTC")
    if start is None and end is None:
        asked = days.parse(day) if day else None
        return days.bounds(source.choose(asked, utc, today=datetime.now(UTC).date()), utc)
    if day or start is None or end is None:
        raise UsageError("Give --day, or both --from and --to.")
    start_ms, end_ms = days.moment(start), days.moment(end)
    if start_ms >= end_ms:
        raise UsageError("--from must be before --to.")
    source.require(start_ms, end_ms, utc)
    return start_ms, end_ms


def _answers(channels: Iterable[Sequence[Piece]]) -> list[str]:
    """Return the answers that any of the segments has."""
    return list(dict.fromkeys(a for pieces in channels for piece in pieces for a in piece.probs))


def _write(
    writer: Format, channels: Mapping[str, Sequence[Piece]], start_ms: int, length: int
) -> None:
    from rtclassify.events import Segment

    writer.head()
    for name, pieces in channels.items():
        writer.begin(name, datetime.fromtimestamp(start_ms / 1000, UTC))
        for number, piece in enumerate(pieces):
            start, end = piece.start - start_ms, piece.end - start_ms
            writer.segment(
                Segment(name, number, piece.label, start, end, piece.probs, begun=None, ended=None)
            )
        writer.end(length)
