"""What happens to audio on its way to the air, applied alike to every class.

Otherwise a network would tell speech from music by their recordings' bandwidth, level or codec.
Everything works on power in bands, shape (frames, bands), with a mean of about 1 a frame until
`gain` sets the level.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from rtclassify.training.bands import Bands, Hertz
from rtclassify.training.shaping import happens
from rtclassify.training.spectra import Power, of_frames

LOW_PASS_HZ = (3_400.0, 4_000.0, 5_500.0, 7_000.0)
TELEPHONE_HZ = (300.0, 3_400.0)
TELEPHONE_ODDS, LOW_PASS_ODDS, HIGH_PASS_ODDS = 0.15, 0.4, 0.1
ROOM_ODDS, COMPRESSION_ODDS, CLIPPING_ODDS, CODEC_ODDS, COMPANDING_ODDS = 0.3, 0.2, 0.1, 0.2, 0.1
GAIN_DBFS = (-56.0, -8.0)
DITHER_DBFS, COARSE_DBFS = (-100.0, -70.0), (-70.0, -48.0)
COARSE_ODDS = 0.1
NOTCH_ODDS, NOTCHES, NOTCH_BANDS, NOTCH_DB = 0.4, 3, 9, (10.0, 60.0)
DECAYS_S, WET = np.geomspace(0.15, 1.8, 12), (0.1, 4.0)
"""How long a room rings, and its power as a share of what comes straight."""


def distort(power: Power, bands: Bands, rng: np.random.Generator) -> Power:
    """Pass a window through a random chain: room, filters, compression, codec, level, noise."""
    if happens(rng, ROOM_ODDS):
        power = roomy(power, bands, rng)
    power = relayed(power, bands, rng)
    if happens(rng, NOTCH_ODDS):
        power = notched(power, bands, rng)
    if happens(rng, COMPRESSION_ODDS):
        power = compressed(power, bands, rng)
    if happens(rng, CLIPPING_ODDS):
        power = clipped(power, bands, rng)
    if happens(rng, CODEC_ODDS):
        power = coded(power, bands, rng)
    if happens(rng, COMPANDING_ODDS):
        power = companded(power, bands, rng)
    power = power * np.float32(bands.full_scale * 10 ** (rng.uniform(*GAIN_DBFS) / 10))
    dither_dbfs = rng.uniform(*(COARSE_DBFS if happens(rng, COARSE_ODDS) else DITHER_DBFS))
    dither = np.float32(bands.full_scale * 10 ** (dither_dbfs / 10))
    return power + dither * bands.white(len(power), rng)


def roomy(power: Power, bands: Bands, rng: np.random.Generator) -> Power:
    """Put the window into a room: each sound dies away, near or far."""
    decay = int(rng.integers(len(DECAYS_S)))
    wet = np.exp(rng.uniform(*np.log(WET)))
    return power + np.float32(wet) * (_tails(len(power), decay, bands.step_s) @ power)


@cache
def _tails(frames: int, decay: int, step_s: float) -> Power:
    """What each frame still gives to later ones, shape (frames, frames); in all, its power."""
    later = np.arange(frames)[:, None] - np.arange(frames)
    left = np.where(later > 0, 10.0 ** (-6.0 * later * step_s / DECAYS_S[decay]), 0.0)
    return (left / (left[:, 0].sum() + 1e-9)).astype(np.float32)


def relayed(power: Power, bands: Bands, rng: np.random.Generator) -> Power:
    """Limit the band at random and tilt what is left, as links and microphones do."""
    low_hz, high_hz = 20.0, 2 * bands.highest_hz
    draw = rng.random()
    if draw < TELEPHONE_ODDS:
        low_hz, high_hz = TELEPHONE_HZ
    elif draw < TELEPHONE_ODDS + LOW_PASS_ODDS:
        high_hz = rng.choice(LOW_PASS_HZ) * rng.uniform(0.9, 1.1)
    elif draw < TELEPHONE_ODDS + LOW_PASS_ODDS + HIGH_PASS_ODDS:
        low_hz = rng.uniform(80.0, 300.0)
    bumps_db = rng.uniform(-8.0, 8.0, 6) * happens(rng, 0.5)
    places = np.linspace(np.log(50.0), np.log(bands.highest_hz), 6)

    def curve(hz: Hertz) -> Hertz:
        tilt = 10 ** (np.interp(np.log(hz), places, bumps_db) / 20)
        return tilt / (1 + (low_hz / hz) ** 16) / (1 + (hz / high_hz) ** 24)

    return bands.shaped(power, curve)


def notched(power: Power, bands: Bands, rng: np.random.Generator) -> Power:
    """Take a few bands away, so that no single one is relied on (SpecAugment, Park et al. 2019)."""
    gain = np.ones(bands.mel(power).shape[1], np.float32)
    for _ in range(rng.integers(1, NOTCHES, endpoint=True)):
        start, width = rng.integers(len(gain)), rng.integers(1, NOTCH_BANDS)
        gain[start : start + width] = 10 ** (-rng.uniform(*NOTCH_DB) / 10)
    return power * bands.everywhere(gain)


def compressed(power: Power, bands: Bands, rng: np.random.Generator) -> Power:
    """Even out the level, fast or slowly, as a broadcaster's processor does."""
    frames = max(1, round(rng.uniform(0.02, 0.6) / bands.step_s))
    energy = of_frames(power)
    level = np.convolve(energy, np.full(frames, 1 / frames), mode="same")
    ratio = rng.uniform(2.0, 8.0)
    gain = (np.maximum(level, 1e-3 * level.max()) + 1e-9) ** (1 / ratio - 1)
    return power * gain.astype(np.float32)[:, None]


def clipped(power: Power, bands: Bands, rng: np.random.Generator) -> Power:
    """Drive the loud frames into a limiter: they are held, and splatter over all bands."""
    energy = of_frames(power)
    ceiling = np.quantile(energy, rng.uniform(0.3, 0.9)) + 1e-9
    over = np.maximum(1.0, energy / ceiling).astype(np.float32)
    splatter = np.float32(10 ** (rng.uniform(-35.0, -18.0) / 10)) * energy * (1 - 1 / over)
    spread = bands.white(len(power), rng)
    return (power + splatter[:, None] * spread) / np.sqrt(over)[:, None]


def coded(power: Power, bands: Bands, rng: np.random.Generator) -> Power:
    """Leave holes where a codec that is short of bits leaves out what is masked."""
    mel = bands.mel(power)
    loudest = mel.max(axis=1, keepdims=True)
    heard = mel > loudest * np.float32(10 ** (rng.uniform(-50.0, -28.0) / 10))
    return power * bands.everywhere(np.where(heard, np.float32(1), np.float32(1e-3)))


def companded(power: Power, bands: Bands, rng: np.random.Generator) -> Power:
    """Add the noise of 8 bits on a logarithmic scale, which follows the signal."""
    below = np.float32(10 ** (rng.uniform(-40.0, -30.0) / 10))
    return power + below * of_frames(power)[:, None] * bands.white(len(power), rng)
