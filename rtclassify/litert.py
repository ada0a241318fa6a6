"""The light runtime: a bundle's ``model.tflite`` on LiteRT, without TensorFlow.

The file holds front end and network. `rtclassify.conversion` makes it.
"""

from __future__ import annotations

from collections.abc import Callable
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
"""The file's signatures, as `Graphs` has them: one input, one output."""


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
    if LIGHT not in said.files:
        raise BundleError(
            f"{said.path} has no {LIGHT} for the light runtime; make it with `rtclassify export "
            f"--format tflite --model {model}` where TensorFlow is installed."
        )
    check_files(said)
    return engine_of(said, (said.path / LIGHT).read_bytes(), hop=hop)


def engine_of(said: Description, content: bytes, *, hop: int) -> Engine:
    """Make the engine of a bundle from what its ``model.tflite`` holds, and prove it.

    Raises:
        BundleError: If it is no such model, or scores the probe otherwise.
        DependencyError: If LiteRT is not installed.
    """
    try:
        from ai_edge_litert import __version__ as version
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise DependencyError(
            "The light runtime needs LiteRT, which is not installed here; install ai-edge-litert."
        ) from error
    try:
        interpreter = Interpreter(model_content=content)
        graphs = Graphs(*(_graph(interpreter, name) for name in SIGNATURES))
        runs_on = f"CPU, LiteRT {version}"
        engine = Engine(said, Grid(**said.grid), graphs, hop=hop, runs_on=runs_on)
    except (TypeError, ValueError, RuntimeError) as error:
        raise BundleError(
            f"{said.path / LIGHT} is not what `rtclassify export` makes "
            f"({str(error).strip().splitlines()[0]}); export it again."
        ) from error
    prove(engine, said)
    return engine


def _graph(interpreter: Interpreter, name: str) -> Callable[[Samples], Samples]:
    runner = interpreter.get_signature_runner(name)
    (seen,) = runner.get_input_details()
    (given,) = runner.get_output_details()

    def graph(values: Samples) -> Samples:
        return runner(**{seen: values})[given]

    return graph
