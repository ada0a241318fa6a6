"""``rtclassify classify``: label recordings of any length."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from rtclassify.cli.output import opened
from rtclassify.config import Device, Runtime, Settings
from rtclassify.errors import SourceError, UsageError

FormatName = Literal["table", "jsonl", "csv", "audacity", "webvtt", "rttm", "textgrid", "jams"]

HELD_WARNINGS = 100


def classify(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE", help="Recordings; - reads a WAV from standard input."),
    ],
    form: Annotated[
        FormatName | None,
        typer.Option("--format", "-f", help="Default: table on a terminal, jsonl elsewhere."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="Where to write, instead of here."),
    ] = None,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A model, or the path of one.")
    ] = Settings().model,
    hop_s: Annotated[
        float | None,
        typer.Option("--hop", metavar="SECONDS", help="Seconds from one label to the next."),
    ] = None,
    device: Annotated[Device, typer.Option(help="What the network runs on.")] = "auto",
    runtime: Annotated[
        Runtime, typer.Option(help="What runs it: litert is light, see docs/light.md.")
    ] = "tensorflow",
) -> None:
    """Label recordings of any length.

    Each hop gets one label, from what was heard before it and after it. Labels are written as
    they come, so a day takes no more memory than a minute. Audio at the end that does not fill a
    hop gets no label; a file shorter than a window is repeated until it fills one.
    """
    from rich.console import Console

    from rtclassify.cli.formats import FORMATS
    from rtclassify.cli.labelling import label
    from rtclassify.cli.loading import load_engine

    shown = output is None and sys.stdout.isatty()
    made = FORMATS[form or ("table" if shown else "jsonl")]
    _refuse_mixing(files, form, one_recording=made.one_recording)
    _refuse_overwriting(files, output)
    failed = False
    with opened(output) as out:
        console = Console(file=out)
        terminal = console if shown else Console(stderr=True)
        engine = load_engine(model, hop_s=hop_s, device=device, runtime=runtime, terminal=terminal)
        writer = made(console, engine.labels, engine.rate)
        writer.head()
        for path in files:
            try:
                with _warnings_after():
                    label(path, engine, writer, terminal)
            except SourceError as error:
                print(f"rtclassify: {error}", file=sys.stderr)
                failed = True
    if failed:
        raise typer.Exit(SourceError.exit_code)


def _refuse_mixing(files: Sequence[str], form: str | None, *, one_recording: bool) -> None:
    if one_recording and len(files) > 1:
        raise UsageError(
            f"--format {form} speaks of one recording, and {len(files)} files were given; "
            "give one at a time, or use jsonl or csv."
        )


def _refuse_overwriting(files: Sequence[str], output: Path | None) -> None:
    for path in map(Path, files):
        if output and output.exists() and path.exists() and output.samefile(path):
            raise UsageError(
                f"--output {output} is a recording to be labelled and would be overwritten; "
                "name another file."
            )


@contextmanager
def _warnings_after() -> Iterator[None]:
    """Hold back what the program logs until the progress bar is gone."""
    from logging.handlers import MemoryHandler

    shown = logging.StreamHandler()
    shown.setFormatter(logging.Formatter("rtclassify: %(message)s"))
    held = MemoryHandler(HELD_WARNINGS, target=shown)
    logging.getLogger().addHandler(held)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(held)
        held.close()
