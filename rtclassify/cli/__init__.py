"""The command line: one file a command, and the only place that puts the parts together.

Command modules import what is light at the top and what is heavy inside the command, so that
``rtclassify --help`` loads neither TensorFlow nor an audio library.
"""

from __future__ import annotations

import os
import sys

import typer

from rtclassify.cli import (
    bench,
    classify,
    devices,
    evaluate,
    export,
    inspect,
    keys,
    models,
    report,
    run,
    train,
    verify,
    watch,
)
from rtclassify.errors import RtclassifyError

app = typer.Typer(
    name="rtclassify",
    help="Say what is heard: speech, music, both, neither, silence, or no audio at all.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command()(bench.bench)
app.command()(classify.classify)
app.command()(devices.devices)
app.command()(evaluate.evaluate)
app.command()(export.export)
app.command()(inspect.inspect)
app.add_typer(keys.app, name="keys")
app.command()(models.models)
app.command()(report.report)
app.command()(train.train)
app.command()(run.run)
app.command()(verify.verify)
app.command()(watch.watch)


def main() -> None:
    """Run the command line; a mendable error becomes one sentence and its exit code."""
    # TensorFlow greets every start with lines about drivers that a machine may not have.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app()
    except RtclassifyError as error:
        if isinstance(error.__cause__, BrokenPipeError):
            # Whoever read our output has seen enough, as ``head`` does.
            raise SystemExit(error.exit_code) from None
        print(f"rtclassify: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
