"""What happens to audio between a studio and a listener, applied to whole recordings.

Each chain keeps the length and the time of what passes through it, so that the truth about the
audio stays the truth. Codecs are real: the audio is encoded and decoded at a rate at which such a
codec is used. FFmpeg takes their delay out again by itself; the tests measure that it does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import av
import numpy as np
import soxr
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.codec.context import CodecContext
from av.error import FFmpegError
from numpy.typing import NDArray

from rtclassify.errors import DependencyError
from rtclassify.evaluation.tracks import loudness
from rtclassify.stream import Samples

Chain = Callable[[Samples, int, np.random.Generator], Samples]
"""Takes mono audio, its rate and the generator of all that is random; returns as many samples."""

TELEPHONE_HZ = (300.0, 3_400.0)
AM_HZ = 4_500.0
HISS_DB = (25.0, 30.0)
DRIVE_DB = 12.0
QUIET_DBFS = -45.0
"""25 dB below the level at which programmes are sent, -20 dBFS."""
PEAK_SHARE = 0.999
"""Of the samples that a limiter's threshold lies above; one click should not set it."""
STEEPNESS = 32
DECAY_S = (0.3, 0.9)
DIRECT_DB = (-3.0, 6.0)
"""How much louder what comes straight is than all that a room adds."""
EARLY_S = (0.003, 0.06)
REFLECTIONS = 12
DULL_HZ = 2_000.0
TAIL_S = 0.25
"""Silence after the audio, so that what a codec still holds at the end comes out."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A lossy way through an encoder and a decoder.

    Args:
        encoder: FFmpeg's name of it.
        decoder: FFmpeg's name of the way back.
        format: The samples that the encoder takes.
        rate: Samples per second at which it is used.
        bit_rate: Bits per second; None where the codec leaves no choice.
    """

    encoder: str
    decoder: str
    format: str
    rate: int
    bit_rate: int | None


G711 = Codec("pcm_mulaw", "pcm_mulaw", "s16", 8_000, None)
MP3_32K = Codec("libmp3lame", "mp3float", "fltp", 22_050, 32_000)
OPUS_16K = Codec("libopus", "libopus", "flt", 48_000, 16_000)


def clean(audio: Samples, _rate: int, _rng: np.random.Generator) -> Samples:
    """Leave everything as it is."""
    return audio


def telephone(audio: Samples, rate: int, _rng: np.random.Generator) -> Samples:
    """Keep 300 to 3,400 Hz, at 8 kHz and 8 bits on the mu-law scale, as G.711 does."""
    return coded(band(audio, rate, *TELEPHONE_HZ), rate, G711)


def mp3(audio: Samples, rate: int, _rng: np.random.Generator) -> Samples:
    """Pass through mp3 at 32 kbit/s."""
    return coded(audio, rate, MP3_32K)


def opus(audio: Samples, rate: int, _rng: np.random.Generator) -> Samples:
    """Pass through Opus at 16 kbit/s."""
    return coded(audio, rate, OPUS_16K)


def medium_wave(audio: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Cut off above 4.5 kHz, with hiss in what is left, 25 to 30 dB below the programme."""
    hiss = band(rng.standard_normal(len(audio), np.float32), rate, 0.0, AM_HZ)
    wanted = loudness(audio, rate) * 10 ** (-rng.uniform(*HISS_DB) / 20)
    hiss *= np.float32(wanted / np.sqrt(np.mean(np.square(hiss))))
    return band(audio, rate, 0.0, AM_HZ) + hiss


def limited(audio: Samples, _rate: int, _rng: np.random.Generator) -> Samples:
    """Drive the peaks 12 dB into a hard clip at full scale."""
    peak = float(np.quantile(np.abs(audio), PEAK_SHARE))
    driven = audio * np.float32(10 ** (DRIVE_DB / 20) / max(peak, 1e-6))
    return np.asarray(np.clip(driven, -1.0, 1.0))


def quiet(audio: Samples, rate: int, _rng: np.random.Generator) -> Samples:
    """Bring the programme to -45 dBFS."""
    level = loudness(audio, rate)
    return audio * np.float32(10 ** (QUIET_DBFS / 20) / level) if level else audio


def room(audio: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Put the programme into a made room, heard at its former power."""
    response = impulse_response(rate, rng)
    size = 1 << (len(audio) + len(response) - 1).bit_length()
    heard = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)
    return heard[: len(audio)].astype(np.float32)


CONDITIONS: dict[str, Chain] = {
    "clean": clean,
    "telephone": telephone,
    "mp3 32k": mp3,
    "opus 16k": opus,
    "AM": medium_wave,
    "limited": limited,
    "quiet": quiet,
    "room": room,
}


def band(audio: Samples, rate: int, low_hz: float, high_hz: float) -> Samples:
    """Keep a band, without delay; its edges fall by 96 dB an octave."""
    hz = np.maximum(np.fft.rfftfreq(len(audio), 1 / rate), 1e-3)
    with np.errstate(over="ignore"):
        response = 1 / np.sqrt((1 + (low_hz / hz) ** STEEPNESS) * (1 + (hz / high_hz) ** STEEPNESS))
    return np.fft.irfft(np.fft.rfft(audio) * response, len(audio)).astype(np.float32)


def impulse_response(rate: int, rng: np.random.Generator) -> Samples:
    """Make a room of unit power: what comes straight, reflections, and a tail that dulls."""
    decay_s = rng.uniform(*DECAY_S)
    time_s = np.arange(int(decay_s * rate)) / rate
    bright = rng.standard_normal(len(time_s)).astype(np.float32)
    dull = band(bright, rate, 0.0, DULL_HZ)
    late = dull * np.exp(-6.9 * time_s / decay_s) + (bright - dull) * np.exp(
        -13.8 * time_s / decay_s
    )
    late[: int(EARLY_S[0] * rate)] = 0.0
    for delay_s in rng.uniform(*EARLY_S, REFLECTIONS):
        late[int(delay_s * rate)] += rng.choice([-1.0, 1.0]) * 0.02 / (delay_s + 0.005)
    response = late * (10 ** (-rng.uniform(*DIRECT_DB) / 20) / np.sqrt(np.sum(np.square(late))))
    response[0] = 1.0
    return np.asarray(response / np.sqrt(np.sum(np.square(response))), np.float32)


def coded(audio: Samples, rate: int, codec: Codec) -> Samples:
    """Encode and decode, in time with what went in.

    Raises:
        DependencyError: If this machine's FFmpeg has no such codec.
    """
    sent = soxr.resample(audio, rate, codec.rate)
    back = soxr.resample(_transcoded(sent, codec), codec.rate, rate)[: len(audio)]
    return np.pad(np.asarray(back, np.float32), (0, len(audio) - len(back)))


def _transcoded(audio: Samples, codec: Codec) -> Samples:
    encoder, decoder = _opened(codec)
    padded = np.pad(audio, (0, int(TAIL_S * codec.rate)))
    frame = AudioFrame.from_ndarray(padded[None], format="fltp", layout="mono")
    frame.sample_rate = codec.rate
    pieces: list[NDArray[np.float32]] = []
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=codec.rate)
    for packet in [*packets, None]:
        for decoded in decoder.decode(packet):
            pieces += [part.to_ndarray()[0] for part in resampler.resample(decoded)]
    return np.concatenate([np.empty(0, np.float32), *pieces])


def _opened(codec: Codec) -> tuple[AudioCodecContext, AudioCodecContext]:
    try:
        encoder = cast(AudioCodecContext, CodecContext.create(codec.encoder, "w"))
        decoder = cast(AudioCodecContext, CodecContext.create(codec.decoder, "r"))
    except (FFmpegError, ValueError) as error:
        raise DependencyError(
            f"PyAV's FFmpeg has no {codec.encoder}, through which this condition passes audio; "
            "install PyAV from its wheel (pip install --force-reinstall --only-binary av av), or "
            "leave the condition out."
        ) from error
    for context in (encoder, decoder):
        context.sample_rate, context.layout = codec.rate, "mono"
    encoder.format = codec.format
    if codec.bit_rate:
        encoder.bit_rate = codec.bit_rate
    encoder.open()
    decoder.extradata = encoder.extradata
    return encoder, decoder
