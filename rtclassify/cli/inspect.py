"""``rtclassify inspect``: draw what is in a recording and what the model makes of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rtclassify.config import Device, Settings
from rtclassify.errors import SinkError, UsageError

PICTURES = (".png", ".svg", ".pdf")


def inspect(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The recording.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="PATH", help="Default: the recording's name, .png, here."
        ),
    ] = None,
    start_s: Annotated[
        float, typer.Option("--start", metavar="SECONDS", min=0, help="Where to begin.")
    ] = 0.0,
    duration_s: Annotated[
        float,
        typer.Option("--duration", metavar="SECONDS", min=1, max=3600, help="How much to show."),
    ] = 600.0,
    grid: Annotated[
        bool, typer.Option("--grid", help="Draw six labelled moments instead.")
    ] = False,
    play: Annotated[
        bool, typer.Option("--play", help="Play it as well, as the model hears it.")
    ] = False,
    model: Annotated[
        str, typer.Option(metavar="NAME", help="A model, or the path of one.")
    ] = Settings().model,
    device: Annotated[Device, typer.Option(help="What the network runs on.")] = "auto",
) -> None:
    """Draw a recording and what the model makes of it.

    One picture: the waveform, the spectrogram, the log-spectrogram that the model sees, and the
    labels over time.
    """
    picture = output or Path(f"{Path(file).stem}{'-grid' if grid else ''}.png")
    if picture.suffix.lower() not in PICTURES:
        raise UsageError(f"--output {picture} is no picture; let it end in {', '.join(PICTURES)}.")
    from rich.console import Console

    from rtclassify.cli.excerpt import hear
    from rtclassify.cli.loading import load_engine

    terminal = Console(stderr=True)
    engine = load_engine(model, hop_s=None, device=device, terminal=terminal)
    with terminal.status(f"listening to {file}"):
        excerpt = hear(file, engine, start_s=start_s, duration_s=duration_s)
        from rtclassify import frontends
        from rtclassify.cli import plots
        from rtclassify.description import describe, find

        frontend = frontends.restore(describe(find(model)).frontend)
        draw = plots.draw_grid if grid else plots.draw_overview
        figure = draw(excerpt, frontend)
    try:
        figure.savefig(picture)
    except OSError as error:
        raise SinkError(
            f"{picture} cannot be written: {error.strerror}; name another --output."
        ) from error
    print(picture)
    if play:
        from rtclassify.sources import soundcard

        print("playing; Ctrl-C stops", file=sys.stderr)
        soundcard.play(excerpt.audio, excerpt.rate)
