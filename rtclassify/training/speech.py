"""What is kept of speech for singing it: its mouth, its voicing, its syllables.

Times are frames of about 8 ms. An envelope is a cepstrum, from which a filter of minimum phase,
as a mouth is, follows (Oppenheim and Schafer, Discrete-Time Signal Processing, ch. 13).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rtclassify.stream import Samples

Values = NDArray[np.float64]
Spectra = NDArray[np.complexfloating]

WINDOW_S, OVERLAP = 0.025, 4
MOUTH_S, SMOOTH_HZ = 0.0018, 60.0
"""Quefrencies below `MOUTH_S` are the mouth; above it lies the pitch."""
CLIFF_HZ, FALL_DB = 3_000.0, 8.0
"""Above `CLIFF_HZ`, where links cut speech off, spectra fall by no more than this per kHz."""
SPOKEN_HZ, VOICE_HZ, VOICED, QUIET, FAINT = (75, 400), 1_200.0, (0.35, 0.65), 1e-4, 1e-5
"""Pitches sought, below what; how alike a voice's periods are; power too faint for a voice."""
NEAR, ONSET, VOWEL, CODA = 6, 20, 3, 12
"""Frames between vowels; before, to both sides of and after a vowel's heart."""
NEPER_DB = 20 / np.log(10)


class Speech:
    """What is kept of speech of unit RMS.

    `mouth` has the cepstra of its envelopes, shape (frames, quefrencies), `voiced` a number from
    0 to 1 for each frame, `syllables` where each begins, its vowel's heart begins and ends, and
    it ends, shape (n, 4).
    """

    def __init__(self, audio: Samples, rate: int, rng: np.random.Generator) -> None:
        self.rate, self.samples = rate, len(audio)
        self.size = 1 << int(np.ceil(np.log2(WINDOW_S * rate)))
        self.hop = self.size // OVERLAP
        self.frame_s = self.hop / rate
        self.hz = np.fft.rfftfreq(self.size, 1 / rate).astype(np.float32)
        self._taper = np.sqrt(np.hanning(self.size + 1)[:-1]).astype(np.float32)
        power = np.square(np.abs(self.spectra(audio))) + np.float32(FAINT)
        self.loud = power[:, self.hz < VOICE_HZ].sum(axis=1)
        self.mouth = self._mouth(power)
        self.voiced = self._voicing(power) * (self.loud > QUIET * self.loud.max())
        found = self._syllables(blurred(self.voiced * self.loud**0.3, 9))
        self.syllables = np.roll(found, rng.integers(len(found)), axis=0)

    def spectra(self, audio: Samples) -> Spectra:
        """Return the spectra of overlapping frames, shape (frames, bins)."""
        padded = np.pad(audio, self.size)
        return np.fft.rfft(sliding_window_view(padded, self.size)[:: self.hop] * self._taper)

    def joined(self, spectra: Spectra) -> Samples:
        """Return the audio of `spectra`."""
        frames = np.fft.irfft(spectra) * self._taper * np.float32(2 / OVERLAP)
        audio = np.zeros((len(frames) + OVERLAP - 1, self.hop), np.float32)
        for part in range(OVERLAP):
            audio[part : part + len(frames)] += frames[:, part * self.hop :][:, : self.hop]
        return audio.ravel()[self.size :][: self.samples]

    def filters(self, place: Values, smaller: float) -> Spectra:
        """Return the logarithms of what mouths at places do, were they `smaller` times so."""
        before = np.minimum(place.astype(np.int64), len(self.mouth) - 2)
        share = (place - before)[:, None].astype(np.float32)
        mouths = (1 - share) * self.mouth[before] + share * self.mouth[before + 1]
        turns = np.outer(np.arange(mouths.shape[1]), self.hz / smaller / self.rate)
        return mouths @ np.exp(-2j * np.pi * turns).astype(np.complex64)

    def _mouth(self, power: Samples) -> Samples:
        logs = np.log(power @ np.exp(-0.5 * np.square((self.hz[:, None] - self.hz) / SMOOTH_HZ)))
        high, fall = self.hz > CLIFF_HZ, self.hz * np.float32(FALL_DB / 500 / NEPER_DB)
        logs[:, high] = np.maximum.accumulate((logs + fall)[:, high], axis=1) - fall[high]
        count = int(MOUTH_S * self.rate)
        kept = np.cos(np.linspace(0, np.pi / 2, count)) * 2 / self.size
        kept[0] /= 2
        return logs @ (self._waves(np.arange(count)) * kept.astype(np.float32))

    def _voicing(self, power: Samples) -> Samples:
        """Tell by autocorrelation of what is low, divided by that of the window."""
        waves = self._waves(np.arange(self.rate // SPOKEN_HZ[0]))
        window = np.square(np.abs(np.fft.rfft(self._taper))) @ waves
        low = self.hz < VOICE_HZ
        alike = power[:, low] @ waves[low] / (window / window[0])
        best = alike[:, self.rate // SPOKEN_HZ[1] :].max(axis=1) / alike[:, 0]
        return np.clip((best - VOICED[0]) / (VOICED[1] - VOICED[0]), 0, 1)

    def _waves(self, lags: NDArray[np.int64]) -> Samples:
        return np.cos(2 * np.pi * np.outer(self.hz / self.rate, lags)).astype(np.float32)

    def _syllables(self, vowel: Values) -> NDArray[np.int64]:
        around = sliding_window_view(np.pad(vowel, NEAR), 2 * NEAR + 1).max(axis=1)
        hearts = np.flatnonzero((vowel == around) & (vowel >= 0.2 * vowel.max()))
        cuts = [0, *(a + self.loud[a:b].argmin() for a, b in pairwise(hearts)), len(vowel) - 1]
        around = np.add.outer(hearts, (-VOWEL - ONSET, -VOWEL, VOWEL, VOWEL + CODA))
        return np.clip(around, np.array(cuts[:-1])[:, None], np.array(cuts[1:])[:, None])


def blurred(values: Values, width: int) -> Values:
    """Average over `width` frames; the ends go on as they are."""
    window = np.hanning(width + 2)[1:-1]
    padded = np.pad(values, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, window / window.sum(), mode="valid")
