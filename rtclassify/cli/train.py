"""``rtclassify train``: make a model from recordings."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

import typer

from rtclassify.cli.loading import tensorflow

if TYPE_CHECKING:
    from rich.progress import TaskID

NetworkName = Literal["column_cnn", "branched_cnn", "article"]
FrontendName = Literal["log_stft", "harmonic_stft", "article"]


def train(
    data: Annotated[
        Path | None,
        typer.Argument(
            help="A folder of class folders (speech…, music…, noise…), or a TSV of path, start, "
            "end, labels."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the model.")] = Path("models/mine"),
    network: Annotated[NetworkName, typer.Option(help="What scores frames.")] = "column_cnn",
    frontend: Annotated[FrontendName, typer.Option(help="What makes frames.")] = "log_stft",
    epochs: Annotated[int | None, typer.Option(min=1, help="At most so many.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Windows in a step.")] = None,
    seed: Annotated[int, typer.Option(help="Of the split, the windows, the weights.")] = 0,
    loader: Annotated[
        str, typer.Option(help="tfds:NAME reads TensorFlow Datasets; DATA is then their folder.")
    ] = "",
    cache: Annotated[
        Path | None, typer.Option(help="Where decoded audio is kept for the next time.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so long.")] = None,
    init: Annotated[
        str, typer.Option(metavar="NAME", help="Begin with this model, and stay near it.")
    ] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training of OUT that was interrupted.")
    ] = False,
    logs: Annotated[Path | None, typer.Option(help="Folder of TensorBoard's events.")] = None,
) -> None:
    """Make a model from recordings.

    Ctrl-C ends training early and keeps the best so far.
    """
    with tensorflow():
        from rtclassify.training.job import Job, run
        from rtclassify.training.material import Wanted
    job = Job(
        wanted=Wanted(data, loader, cache or cache_folder(), seed),
        out=out,
        network=network,
        frontend=frontend,
        epochs=epochs,
        batch=batch,
        minutes=minutes,
        init=init,
        resume=resume,
        logs=logs,
        command=shlex.join(["rtclassify", *sys.argv[1:]]),
    )
    with Terminal() as terminal:
        said = run(job, terminal)
    print(f"{out} is ready. {said}")


def cache_folder() -> Path:
    """Return where decoded audio is kept unless told otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rtclassify"


class Terminal:
    """A `Watcher` of rich: lines above one progress bar."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=Console(stderr=True),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        """Show the bar."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bar as it stands."""
        self._progress.stop()

    def line(self, text: str) -> None:
        """Show a line above the bar."""
        self._progress.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, what: str, total: int) -> None:
        """Start a bar."""
        if self._task is not None:
            self._progress.update(self._task, note="")
        self._task = self._progress.add_task(what, total=total, note="")

    def advance(self, steps: int, note: str = "") -> None:
        """Move the bar."""
        if self._task is None:
            raise RuntimeError("advance without begin")
        self._progress.update(self._task, advance=steps, note=note)
