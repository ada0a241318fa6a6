"""Label one recording through the very pipeline and loop that the daemon runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from rtclassify.cli.format_base import Format
from rtclassify.cli.formats import clock_time
from rtclassify.cli.output import delivering
from rtclassify.cli.recording import Recording
from rtclassify.clock import SystemClock
from rtclassify.config import LabelSettings
from rtclassify.events import Event, Label, Segment
from rtclassify.loop import run
from rtclassify.pipeline import Pipeline
from rtclassify.ring import Wakeup
from rtclassify.stream import Classifier


def label(
    path: str,
    classifier: Classifier,
    writer: Format,
    terminal: Console,
    *,
    name: str | None = None,
) -> float:
    """Write the labels of the recording at `path`, with a progress bar if `terminal` is one.

    Args:
        path: The recording, or ``-`` for a WAV on standard input.
        classifier: Scores its windows.
        writer: Writes its labels.
        terminal: Where progress is shown.
        name: What the labels call it; None for its path.

    Returns:
        Seconds of audio that it holds.

    Raises:
        SourceError: If the recording cannot be read, wholly or from some place on.
        SinkError: If the labels cannot be written.
    """
    with Recording(path, rate=classifier.rate, window=classifier.window) as recording:
        pipeline = Pipeline(classifier, recording.channels, LabelSettings())
        sink = WriterSink(writer, recording)
        writer.begin(name or path)
        with _progress(recording, terminal) as turn:
            run([recording], pipeline, [sink], clock=SystemClock(), wakeup=Wakeup(), turn=turn)
        with delivering("the output"):
            writer.end(recording.length)
        return recording.seconds


class WriterSink:
    """Hand a recording's final labels and closed segments to a format.

    They are cut to the recording's length, which may be less than was classified.
    """

    def __init__(self, writer: Format, recording: Recording) -> None:
        self._writer = writer
        self._recording = recording

    def __enter__(self) -> Self:
        """Open nothing: the output outlives the recording."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def send(self, events: Sequence[Event]) -> None:
        """Write what the events say.

        Raises:
            SinkError: If that fails.
        """
        length = self._recording.length
        with delivering("the output"):
            for event in events:
                match event:
                    case Label(final=True, start=start, end=end) if start < length:
                        self._writer.label(replace(event, end=min(end, length)))
                    case Segment(start=start, end=int(end)) if start < length:
                        self._writer.segment(replace(event, end=min(end, length)))


@contextmanager
def _progress(recording: Recording, terminal: Console) -> Iterator[Callable[[], bool]]:
    """Show how far the recording is; what is yielded is to be called at each turn."""
    bar = Progress(
        TextColumn("  {task.fields[at]}", style="dim"),
        BarColumn(complete_style="cyan", finished_style="cyan", pulse_style="cyan"),
        _Speed(),
        TimeRemainingColumn(compact=True),
        console=terminal,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not terminal.is_terminal,
    )
    with bar:
        task = bar.add_task("", total=recording.duration_s, at=clock_time(0))

        def turn() -> bool:
            bar.update(task, completed=recording.seconds, at=clock_time(recording.seconds))
            return True

        yield turn


class _Speed(ProgressColumn):
    """Seconds of audio in a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f} × real time" if task.speed else "", style="dim")
