"""``rtclassify classify``: label recordings of any length, or a folder of them."""

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

Files = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE", help="Recordings, or one folder of them; - reads a WAV from standard input."
    ),
]
Form = Annotated[
    FormatName | None,
    typer.Option("--format", "-f", help="Default: table on a terminal, jsonl elsewhere."),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="PATH", help="Where to write, instead of here."),
]
Model = Annotated[str, typer.Option(metavar="NAME", help="A model, or the path of one.")]
Hop = Annotated[
    float | None,
    typer.Option("--hop", metavar="SECONDS", help="Seconds from one label to the next."),
]
RunsOn = Annotated[Device, typer.Option(help="What the network runs on.")]
RunsWith = Annotated[
    Runtime, typer.Option(help="litert is for small boxes, int8 for many channels.")
]
Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="Processes that share a folder, a core and 0.7 GB each. [default: 1]"),
]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="The Dask scheduler whose workers share it instead."),
]


def classify(
    files: Files,
    form: Form = None,
    output: Output = None,
    model: Model = Settings().model,
    hop_s: Hop = None,
    device: RunsOn = "auto",
    runtime: RunsWith = "tensorflow",
    jobs: Jobs = None,
    cluster: Cluster = None,
) -> None:
    """Label recordings of any length.

    Each hop gets one label, from what was heard before it and after it. Labels are written as
    they come, so a day takes no more memory than a minute. Audio at the end that does not fill a
    hop gets no label; a file shorter than a window is repeated until it fills one.

    A folder's labels go to the folder --output, a file for each recording, beside manifest.jsonl,
    which says what became of it. Run the same command again to go on after whatever ended it, and
    to label what is new or has changed. Exit code 4: some recordings could not be labelled.
    """
    if len(files) == 1 and Path(files[0]).is_dir():
        whole = _folder(Path(files[0]), form, output, model, hop_s, device, runtime, jobs, cluster)
    else:
        _refuse_sharing(jobs, cluster)
        whole = _files(files, form, output, model, hop_s, device, runtime)
    if not whole:
        raise typer.Exit(SourceError.exit_code)


def _folder(
    folder: Path,
    form: FormatName | None,
    output: Path | None,
    model: str,
    hop_s: float | None,
    device: Device,
    runtime: Runtime,
    jobs: int | None,
    cluster: str | None,
) -> bool:
    """Label the recordings of a folder; return whether all of them got labels."""
    if output is None:
        raise UsageError(f"{folder} is a folder; say with --output to which folder its labels go.")
    if jobs and cluster:
        raise UsageError("--jobs and --cluster exclude each other: a cluster has its own workers.")
    from rich.console import Console

    from rtclassify.cli.archive import job_of, label_archive

    job = job_of(
        folder, output, form=form or "jsonl", model=model, hop_s=hop_s, device=device,
        runtime=runtime,
    )  # fmt: skip
    return label_archive(job, jobs=jobs or 1, cluster=cluster, terminal=Console(stderr=True))


def _files(
    files: Sequence[str],
    form: FormatName | None,
    output: Path | None,
    model: str,
    hop_s: float | None,
    device: Device,
    runtime: Runtime,
) -> bool:
    """Label files one after the other; return whether all of them could be read."""
    from rich.console import Console

    from rtclassify.cli.formats import FORMATS
    from rtclassify.cli.labelling import label
    from rtclassify.cli.loading import load_engine

    shown = output is None and sys.stdout.isatty()
    made = FORMATS[form or ("table" if shown else "jsonl")]
    _refuse_mixing(files, form, one_recording=made.one_recording)
    _refuse_overwriting(files, output)
    whole = True
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
                whole = False
    return whole


def _refuse_sharing(jobs: int | None, cluster: str | None) -> None:
    if jobs or cluster:
        raise UsageError("--jobs and --cluster share the recordings of a folder; name one, alone.")


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
