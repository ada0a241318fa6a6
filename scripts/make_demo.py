"""Make rtclassify/sources/demo.ogg from a folder of recordings: scripts/make-demo PACK.

PACK holds speech/, music/ and noise/ as CORPUS packs do; rtclassify/sources/DEMO.md names the
four recordings, their authors and licences.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

Samples = NDArray[np.floating]

RATE = 22_050
OUT = Path(__file__).parent.parent / "rtclassify" / "sources" / "demo.ogg"
READER = "speech/librispeech_librosa/198-209-0000.hq.flac"
PRESENTER = "speech/librispeech_librosa/5703-47212-0000.hq.flac"
RECORD = "music/librosa_music/Kevin_MacLeod_-_Vibe_Ace.hq.flac"
RAIN = "noise/sms_tools/rain.flac"
MUSIC_BEGINS_S = 13.0
MUSIC_ALONE_S = 14.0
DUCKED_DB = -14.0
RAIN_S = 10.0
SILENCE_S = 6.0
FADE_S = 0.25
CHUNK = 4096


def read(pack: Path, name: str) -> Samples:
    """Return the samples of one recording of the pack, shape (n,)."""
    samples, rate = soundfile.read(pack / name, dtype="float32")
    if rate != RATE:
        raise SystemExit(f"{name} has {rate} Hz where {RATE} are wanted; take another pack.")
    return np.asarray(samples)


def at_level(samples: Samples, rms_dbfs: float) -> Samples:
    """Scale so that what is louder than 40 dB below the peak has this RMS level."""
    loud = samples[np.abs(samples) > np.abs(samples).max() / 100]
    return np.asarray(samples * 10 ** (rms_dbfs / 20) / np.sqrt(np.mean(loud**2)))


def faded(samples: Samples) -> Samples:
    """Fade in and out."""
    ramp = np.linspace(0.0, 1.0, round(FADE_S * RATE))
    shaped = samples.copy()
    shaped[: len(ramp)] *= ramp
    shaped[-len(ramp) :] *= ramp[::-1]
    return shaped


def looped(samples: Samples, length: int) -> Samples:
    """Repeat with a cross-fade, so that no edge is heard."""
    joint = round(FADE_S * RATE)
    ramp = np.linspace(0.0, 1.0, joint)
    out = samples
    while len(out) < length:
        middle = out[-joint:] * ramp[::-1] + samples[:joint] * ramp
        out = np.concatenate([out[:-joint], middle, samples[joint:]])
    return out[:length]


def programme(pack: Path) -> Samples:
    """Return speech, music, speech over ducked music, rain, silence."""
    reader, presenter = (at_level(read(pack, name), -20.0) for name in (READER, PRESENTER))
    alone = round(MUSIC_ALONE_S * RATE)
    begin = round(MUSIC_BEGINS_S * RATE)
    record = at_level(read(pack, RECORD)[begin : begin + alone + len(presenter)], -19.0)
    gain_db = np.interp(np.arange(len(record)), [alone - RATE // 2, alone], [0.0, DUCKED_DB])
    record = record * 10 ** (gain_db / 20)
    record[alone:] += presenter
    rain = at_level(looped(read(pack, RAIN), round(RAIN_S * RATE)), -26.0)
    silence = np.zeros(round(SILENCE_S * RATE), np.float32)
    return np.concatenate([faded(reader), faded(record), faded(rain), silence])


def main() -> None:
    """Write the clip."""
    pack = Path(sys.argv[1])
    samples = np.clip(programme(pack), -1.0, 1.0).astype(np.float32)
    # In small writes: libsndfile's Vorbis encoder crashes on large ones.
    with soundfile.SoundFile(
        OUT, "w", RATE, 1, format="OGG", subtype="VORBIS", compression_level=0.6
    ) as file:
        for start in range(0, len(samples), CHUNK):
            file.write(samples[start : start + CHUNK])
    print(f"{OUT.name}: {len(samples) / RATE:.1f} s, {OUT.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
