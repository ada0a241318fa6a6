"""Open a model on the runtime that was asked for, without greetings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from rtclassify.config import Device, Runtime
from rtclassify.errors import DependencyError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from rtclassify.engine import Engine


def load_engine(
    model: str,
    *,
    hop_s: float | None,
    device: Device,
    terminal: Console,
    runtime: Runtime = "tensorflow",
) -> Engine:
    """Open the engine, with a word on `terminal` while that takes seconds.

    What can be refused without TensorFlow is refused at once; see `open_engine`.
    """
    from rtclassify.description import describe, find

    describe(find(model)).hop_samples(hop_s)
    with terminal.status(f"loading {model}"):
        return open_engine(model, hop_s=hop_s, device=device, runtime=runtime)


def open_engine(
    model: str,
    *,
    hop_s: float | None,
    device: Device,
    runtime: Runtime,
    threads: int | None = None,
) -> Engine:
    """Open the engine on one of the runtimes.

    `threads` is how many compute; the light runtime has one.

    Raises:
        BundleError: If the bundle cannot be used, or `hop_s` does not fit it.
        DependencyError: If the runtime is not installed.
        UsageError: If `device` is ``gpu`` and there is none, or the runtime knows none.
    """
    if runtime != "tensorflow" and device == "gpu":
        raise UsageError(f"The runtime {runtime} knows no GPU; leave device or runtime out.")
    if runtime == "litert":
        from rtclassify import litert

        with hushed():
            return litert.open_engine(model, hop_s=hop_s)
    with tensorflow(), _missing("matplotlib", "pandas"):
        from rtclassify import inference
    int8 = runtime == "int8"
    # LiteRT says on standard error what it will use.
    with hushed() if int8 else nullcontext():
        return inference.open_engine(model, hop_s=hop_s, device=device, threads=threads, int8=int8)


@contextmanager
def tensorflow() -> Iterator[None]:
    """Import what needs TensorFlow, without its greetings.

    Raises:
        DependencyError: If it is not installed.
    """
    try:
        with hushed():
            yield
    except ModuleNotFoundError as error:
        if error.name not in {"tensorflow", "keras"}:
            raise
        raise DependencyError(
            "TensorFlow is not installed here; install it, or label with --runtime litert."
        ) from error


@contextmanager
def hushed() -> Iterator[None]:
    """Swallow what is written to standard error beneath Python.

    TensorFlow's libraries and LiteRT write there while they load, whatever their settings say.
    Exceptions still come through.
    """
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def _missing(*names: str) -> Iterator[None]:
    """Let packages that are not loaded yet look as if they were not installed.

    Keras loads these where they are installed, for things that we never ask of it: a fifth of
    the seconds that TensorFlow takes to load.
    """
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type] # None stands for missing
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
