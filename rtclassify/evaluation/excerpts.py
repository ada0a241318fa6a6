"""Five seconds to look at and to listen to, inside an HTML page."""

from __future__ import annotations

import base64
import io
import wave

import numpy as np
from matplotlib.image import imsave

from rtclassify.corpus.decode import FULL_SCALE, Stored
from rtclassify.stream import Samples

FFT = 1_024
STEP = 256
ROWS = 112
LOWEST_HZ = 50.0
RANGE_DB = 70.0
MAP = "magma"
FLOOR = 1e-10


def spectrogram(audio: Stored, rate: int) -> str:
    """Draw a spectrogram on the mel scale, `LOWEST_HZ` to half the rate; return a data URI."""
    decibels = 10 * np.log10(_power(audio, rate) + FLOOR)
    top = float(decibels.max())
    png = io.BytesIO()
    imsave(png, decibels.T, cmap=MAP, vmin=top - RANGE_DB, vmax=top, origin="lower", format="png")
    return _uri("image/png", png.getvalue())


def sound(audio: Stored, rate: int) -> str:
    """Return 16-bit audio as the data URI of a WAV."""
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(audio.astype("<i2").tobytes())
    return _uri("audio/wav", held.getvalue())


def _power(audio: Stored, rate: int) -> Samples:
    """Compute the power over time at `ROWS` places of the mel scale, shape (columns, ROWS)."""
    padded = np.pad(audio / np.float32(FULL_SCALE), FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT)[::STEP]
    power = np.abs(np.fft.rfft(frames * np.hanning(FFT))) ** 2
    mels = np.linspace(_mel(LOWEST_HZ), _mel(rate / 2), ROWS)
    places = 700 * (10 ** (mels / 2595) - 1) * FFT / rate
    below = np.minimum(places.astype(int), FFT // 2 - 1)
    share = places - below
    return np.asarray(power[:, below] * (1 - share) + power[:, below + 1] * share, np.float32)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
