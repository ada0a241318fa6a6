"""Load a model without TensorFlow's greetings."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from rtclassify.engine import Engine


def load_engine(model: str, *, hop_s: float | None, device: str, terminal: Console) -> Engine:
    """Open the engine, with a word on `terminal` while that takes seconds.

    What can be refused without TensorFlow is refused at once.

    Raises:
        BundleError: If the bundle cannot be used, or `hop_s` does not fit it.
        UsageError: If `device` is ``gpu`` and there is none.
    """
    from rtclassify.description import describe, find

    describe(find(model)).hop_samples(hop_s)
    with terminal.status(f"loading {model}"):
        with hushed():
            from rtclassify.inference import open_engine
        return open_engine(model, hop_s=hop_s, device=device)


@contextmanager
def hushed() -> Iterator[None]:
    """Swallow what is written to standard error beneath Python.

    TensorFlow's libraries write there while they are imported, before any setting of theirs is
    read. Exceptions still come through.
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
