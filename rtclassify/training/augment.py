"""What happens to audio on its way to the air, applied alike to every class.

Otherwise a network would tell speech from music by their recordings' bandwidth, level or codec.
"""

from __future__ import annotations

import numpy as np

from rtclassify.stream import Samples
from rtclassify.training.shaping import Hertz, happens, shaped, white

LOW_PASS_HZ = (3_400.0, 4_000.0, 5_500.0, 7_000.0)
TELEPHONE_HZ = (300.0, 3_400.0)
TELEPHONE_ODDS, LOW_PASS_ODDS, HIGH_PASS_ODDS = 0.12, 0.43, 0.1
LIMITER_ODDS, COMPANDING_ODDS, ROOM_ODDS = 0.15, 0.08, 0.2
GAIN_DBFS = (-48.0, -8.0)
DITHER_DBFS = (-100.0, -70.0)


def distort(audio: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Pass a window through a random chain: a room, filters, limiting, coarse samples, gain."""
    if happens(rng, ROOM_ODDS):
        audio = roomy(audio, rate, rng)
    audio = relayed(audio, rate, rng)
    if happens(rng, LIMITER_ODDS):
        audio = limit(audio, drive_db=rng.uniform(3.0, 18.0), hard=happens(rng, 0.5))
    audio = gain(audio, rng.uniform(*GAIN_DBFS))
    if happens(rng, COMPANDING_ODDS):
        audio = companded(audio)
    dither = 10 ** (rng.uniform(*DITHER_DBFS) / 20)
    return audio + np.float32(dither) * white(len(audio), rng)


def band(hz: Hertz, low_hz: float, high_hz: float) -> Hertz:
    """Return the response of a band with soft edges at frequencies in Hz."""
    return 1 / (1 + (low_hz / hz) ** 16) / (1 + (hz / high_hz) ** 24)


def telephone(audio: Samples, rate: int) -> Samples:
    """Keep the band of a telephone."""
    return shaped(audio, rate, lambda hz: band(hz, *TELEPHONE_HZ))


def roomy(audio: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Put the window into a room: decaying noise after each sound, far or near."""
    decay_s, wet = rng.uniform(0.15, 0.9), rng.uniform(0.1, 1.5)
    time = np.arange(int(decay_s * rate), dtype=np.float32) / rate
    tail = white(len(time), rng) * np.exp(-6.9 * time / decay_s)
    tail *= wet / np.sqrt(np.sum(np.square(tail)))
    tail[0] = 1.0
    size = 1 << (len(audio) + len(tail) - 1).bit_length()
    heard = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(tail, size), size)
    return heard[: len(audio)].astype(np.float32)


def gain(audio: Samples, level_dbfs: float) -> Samples:
    """Bring the RMS to a level; peaks beyond full scale are clipped, as they would be."""
    rms = np.sqrt(np.mean(np.square(audio))) + 1e-9
    return np.clip(audio * np.float32(10 ** (level_dbfs / 20) / rms), -1.0, 1.0)


def limit(audio: Samples, *, drive_db: float, hard: bool) -> Samples:
    """Drive the window into a limiter, hard or soft."""
    peak = np.max(np.abs(audio)) + 1e-9
    driven = audio / peak * np.float32(10 ** (drive_db / 20))
    return np.clip(driven, -1.0, 1.0) if hard else np.tanh(driven)


def companded(audio: Samples) -> Samples:
    """Round to 8 bits on the mu-law scale, as digital telephony does."""
    coded = np.sign(audio) * np.log1p(255 * np.abs(audio)) / np.log(256)
    rounded = np.round(coded * 127) / 127
    return (np.sign(rounded) * np.expm1(np.abs(rounded) * np.log(256)) / 255).astype(np.float32)


def relayed(audio: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Limit the band at random and tilt what is left, as links and microphones do."""
    low_hz, high_hz = 20.0, float(rate)
    draw = rng.random()
    if draw < TELEPHONE_ODDS:
        low_hz, high_hz = TELEPHONE_HZ
    elif draw < TELEPHONE_ODDS + LOW_PASS_ODDS:
        high_hz = rng.choice(LOW_PASS_HZ) * rng.uniform(0.9, 1.1)
    elif draw < TELEPHONE_ODDS + LOW_PASS_ODDS + HIGH_PASS_ODDS:
        low_hz = rng.uniform(80.0, 300.0)
    bumps_db = rng.uniform(-8.0, 8.0, 6) * happens(rng, 0.5)
    places = np.linspace(np.log(50.0), np.log(rate / 2), 6)

    def curve(hz: Hertz) -> Hertz:
        return band(hz, low_hz, high_hz) * 10 ** (np.interp(np.log(hz), places, bumps_db) / 20)

    return shaped(audio, rate, curve)
