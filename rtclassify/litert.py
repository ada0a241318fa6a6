"""LiteRT: a bundle's ``model.tflite`` without TensorFlow, or its network in 8 bits.

`rtclassify.conversion` makes the files. ``model.tflite`` holds front end and network, in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rtclassify.description import LIGHT, Description, check_files, describe, find
from rtclassify.engine import Engine, Graphs
from rtclassify.errors import BundleError, DependencyError
from rtclassify.grid import Grid
from rtclassify.probe import prove
from rtclassify.stream import Samples

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

SIGNATURES = FRAMES, COLUMNS, ANSWERS = "frames", "columns", "answers"
"""The files' signatures, as `Graphs` has them: one input, one output."""

Graph = Callable[[Samples], Samples]


def open_engine(model: str, *, hop_s: float | None = None) -> Engine:
    """Load a bundle's ``model.tflite``, prove it and warm up.

    Args:
        model: A bundle's name or path.
        hop_s: Seconds from one label to the next; None takes the bundle's own.

    Raises:
        BundleError: If the bundle has no such file or cannot be used, or `hop_s` does not fit it.
        DependencyError: If LiteRT is not installed.
    """
    said = describe(find(model))
    hop = said.hop_samples(hop_s)
    return engine_of(said, exported(said, LIGHT, "tflite"), hop=hop)


def exported(said: Description, name: str, form: str) -> bytes:
    """Read a file that `rtclassify export` puts into a bundle.

    Raises:
        BundleError: If the bundle has no such file, or another one than was exported.
    """
    if name not in said.files:
        raise BundleError(
            f"{said.path} has no {name} for this runtime; make it with `rtclassify export --format "
            f"{form} --model {said.path}` where TensorFlow is installed."
        )
    check_files(said)
    return (said.path / name).read_bytes()


def engine_of(said: Description, content: bytes, *, hop: int) -> Engine:
    """Make the engine of a bundle from what its ``model.tflite`` holds, and prove it.

    Raises:
        BundleError: If it is no such model, or scores the probe otherwise.
        DependencyError: If LiteRT is not installed.
    """
    with refused(said, LIGHT):
        graphs = Graphs(*graphs_of(content, SIGNATURES))
        runs_on = f"CPU, {version()}"
        engine = Engine(said, Grid(**said.grid), graphs, hop=hop, runs_on=runs_on)
    prove(engine, said)
    return engine


def graphs_of(content: bytes, signatures: Sequence[str], threads: int = 1) -> Sequence[Graph]:
    """Load a file's signatures.

    Raises:
        DependencyError: If LiteRT is not installed.
        ValueError: If that cannot be done; or a TypeError or RuntimeError.
    """
    with _installed():
        from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(model_content=content, num_threads=threads)
    return [_graph(interpreter, name) for name in signatures]


def version() -> str:
    """Name what is installed.

    Raises:
        DependencyError: If LiteRT is not.
    """
    with _installed():
        from ai_edge_litert import __version__
    return f"LiteRT {__version__}"


@contextmanager
def _installed() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise DependencyError(
            "This runtime needs LiteRT, which is not installed here; install ai-edge-litert."
        ) from error


@contextmanager
def refused(said: Description, name: str) -> Iterator[None]:
    """Let what LiteRT, or an engine that warms up, says of a file become a `BundleError`."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError) as error:
        raise BundleError(
            f"{said.path / name} is not what `rtclassify export` makes "
            f"({str(error).strip().splitlines()[0]}); export it again."
        ) from error


def _graph(interpreter: Interpreter, name: str) -> Graph:
    runner = interpreter.get_signature_runner(name)
    (seen,) = runner.get_input_details()
    (given,) = runner.get_output_details()

    def graph(values: Samples) -> Samples:
        return runner(**{seen: values})[given]

    return graph
