"""Speech becomes song: a voice and its words, sung to a melody that is made up.

Singing alone is hardly ever recorded, and a network that never heard any takes it for speech.
Of the speech the envelopes of its spectra are kept, which are the mouth; time and pitch are made
anew. Vowels are held for the notes of a scale while consonants stay short, and the envelopes
filter pulses and noise, which stand for the vocal folds and the breath.

Times are frames of about 8 ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from rtclassify.stream import Samples
from rtclassify.training.shaping import happens, roomy, shaped, white
from rtclassify.training.speech import NEPER_DB, Speech, Values, blurred
from rtclassify.training.synthetic import coloured

CENTRE_HZ, REACH_HZ, NEUTRAL_HZ = (105.0, 520.0), (75.0, 1_000.0), 200.0
BPM, NOTE_S, REST_S, PHRASE = (50.0, 140.0), (0.15, 2.5), (0.25, 0.75), (3, 11)
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 7, 9))
COMPASS, CADENCE, SCOOPED, ROOM = (-5, 7), 0.5, 0.2, 0.4
"""Degrees of the scale around its tonic; odds of ending there, of notes from below, of a room."""
HARMONY = (-12, -5, 0, 0, 0, 4, 7, 12)
"""Semitones from the melody at which the others of a choir sing."""
BREATHY_HZ, INHALED_DB, FLOOR_DB = (3_500.0, 10_000.0), (-50.0, -24.0), (-70.0, -40.0)
"""Where breath outweighs tone; how loud it is drawn; the noise of the recording."""
RELEASE = 18
"""Frames in which the end of a phrase dies away."""


@dataclass(frozen=True, slots=True)
class Style:
    """A way to sing.

    Args:
        beats: Lengths of notes, drawn with equal odds.
        leap: Spread of the melody's steps, in degrees of the scale.
        melisma: How often a note goes on with the vowel of the one before.
        vibrato: How often a note has it, and its greatest depth in semitones.
        ring_db: The singer's formant, near 3 kHz.
        choir: The most voices.
        hummed: Whether the mouth is closed, so that there are no words.
    """

    beats: tuple[float, ...]
    leap: float
    melisma: float
    vibrato: tuple[float, float]
    ring_db: float
    choir: int = 1
    hummed: bool = False


STYLES = {
    "held": Style((1.0, 1.0, 2.0, 3.0), 1.8, 0.25, (0.9, 1.0), 8.0),
    "pop": Style((0.25, 0.25, 0.5, 0.5, 0.5, 1.0, 2.0), 1.5, 0.15, (0.4, 0.5), 3.0),
    "folk": Style((0.25, 0.25, 0.35, 0.5, 0.5, 0.75, 1.0), 1.6, 0.04, (0.25, 0.3), 0.0),
    "hummed": Style((0.5, 1.0, 1.0, 2.0), 1.3, 0.5, (0.4, 0.4), 0.0, hummed=True),
    "chant": Style((0.35, 0.5, 0.5, 1.0), 0.5, 0.05, (0.3, 0.3), 3.0),
    "choir": Style((1.0, 1.0, 2.0), 1.2, 0.1, (0.6, 0.4), 4.0, choir=3),
}
ODDS = (0.15, 0.28, 0.32, 0.05, 0.08, 0.12)


class Note(NamedTuple):
    """A note between two frames, in semitones above the tonic; a rest follows the `last`."""

    start: int
    end: int
    pitch: float
    fresh: bool
    last: bool


def sung(speech: Samples, rate: int, rng: np.random.Generator) -> Samples:
    """Return as many samples of song, of the voice and words of `speech`, in any style.

    Args:
        speech: One voice, shape (samples,), at least one and fewer than `WHITE_SAMPLES`.
        rate: Samples per second.
        rng: Style, melody and singers are drawn from it.

    Returns:
        Shape (samples,), of the RMS of `speech`; silence if that is silent.
    """
    return sing(speech, rate, STYLES[rng.choice(list(STYLES), p=ODDS)], rng)


def sing(audio: Samples, rate: int, style: Style, rng: np.random.Generator) -> Samples:
    """Sing in one style, alone or as a choir, now and then in a room; else as `sung`."""
    if not audio.any():
        return np.zeros_like(audio)
    speech = Speech(audio / _rms(audio), rate, rng)
    notes = _melody(len(speech.mouth), speech.frame_s, style, rng)
    tonic_hz = np.exp(rng.uniform(*np.log(CENTRE_HZ)))
    song = np.zeros_like(audio)
    for voice in range(rng.integers((style.choir + 1) // 2, style.choir + 1)):
        apart = HARMONY[rng.integers(len(HARMONY))] if voice else 0
        song += _voice(speech, notes, tonic_hz * 2 ** (apart / 12), style, rng)
    floor = coloured(len(song), rate, rng)
    song += floor * (_rms(song) / _rms(floor) * np.float32(10 ** (rng.uniform(*FLOOR_DB) / 20)))
    song = roomy(song, rate, rng) if happens(rng, ROOM) else song
    return song * (_rms(audio) / _rms(song))


def _melody(frames: int, frame_s: float, style: Style, rng: np.random.Generator) -> list[Note]:
    """Walk up and down a scale, in phrases; the first may have begun before the first frame."""
    scale, beat_s = SCALES[rng.integers(len(SCALES))], 60 / rng.uniform(*BPM)
    at, degree = -rng.uniform(0, 3), 0.0
    notes: list[Note] = []
    while at < frames * frame_s:
        count = rng.integers(*PHRASE)
        for index in range(count):
            last = bool(index == count - 1)
            degree = np.clip(0.85 * degree + rng.normal(0, style.leap), *COMPASS)
            degree *= not (last and happens(rng, CADENCE))
            octave, tone = divmod(round(degree), len(scale))
            end = at + np.clip(beat_s * rng.choice(style.beats) * (1 + 0.5 * last), *NOTE_S)
            fresh = index == 0 or not happens(rng, style.melisma)
            pitch = 12 * octave + scale[tone]
            notes.append(Note(int(at / frame_s), int(end / frame_s), pitch, fresh, last))
            at = end + last * rng.uniform(*REST_S)
    return notes


def _voice(
    speech: Speech, notes: list[Note], tonic_hz: float, style: Style, rng: np.random.Generator
) -> Samples:
    """Sing the melody once, with a mouth of another size."""
    place, voiced, level_db = _words(speech, notes, style, rng)
    pitch, swell_db = _pitch(notes, len(place), speech.frame_s, style, rng)
    hz = np.clip(tonic_hz * 2 ** (pitch / 12), *REACH_HZ)
    smaller = (tonic_hz / NEUTRAL_HZ) ** 0.12 * rng.uniform(0.93, 1.08)
    octaves = np.log2(np.maximum(speech.hz, 300) / 1_000)
    ring = np.exp(-0.5 * np.square((speech.hz - rng.uniform(2_600, 3_300)) / 400))
    colour_db = rng.normal(-3.5, 2) * octaves + style.ring_db * rng.uniform(0.3, 1) * ring
    colour_db -= 8 * style.hummed * np.maximum(0, octaves + 1)
    level_db = (level_db + swell_db)[:, None] + np.outer(swell_db, 0.5 * octaves) + colour_db
    logs = speech.filters(place, smaller) + (level_db / NEPER_DB).astype(np.float32)
    return speech.joined(speech.spectra(_folds(hz, voiced, speech, rng)) * np.exp(logs))


def _words(
    speech: Speech, notes: list[Note], style: Style, rng: np.random.Generator
) -> tuple[Values, Values, Values]:
    """Lay syllables under notes: by frame, the place in the speech, voicing and level in dB."""
    syllables = speech.syllables.copy()
    if style.hummed:
        syllables[:, 0], syllables[:, 3] = syllables[:, 1], syllables[:, 2]
    loud_db = 10 * np.log10(speech.loud[syllables[:, 1:3].mean(axis=1).astype(np.int64)])
    level_db = 0.6 * (np.median(loud_db) - loud_db)
    fresh = [index for index, note in enumerate(notes) if note.fresh]
    points: list[tuple[float, ...]] = []
    for index, (first, after) in enumerate(pairwise([*fresh, len(notes)])):
        here, following = index % len(syllables), (index + 1) % len(syllables)
        begin, vowel, coda, over = syllables[here]
        lead = syllables[following, 1] - syllables[following, 0]
        start, last = notes[first].start, notes[after - 1].last
        end = notes[after - 1].end - (0 if last else lead)
        level, hums = level_db[here], style.hummed
        points.append((start - (vowel - begin), begin, level, hums, 1))
        points.append((start, vowel, level, 1, 1))
        points.append((max(start + 2, end - (over - coda)), coda, level, 1, 1))
        points.append((max(start + 2, end), over, level, hums, 1))
        if last and after < len(notes):
            breath = (rng.uniform(*INHALED_DB), 0, 0)
            points.append((end + RELEASE, over, *breath))
            points.append((notes[after].start - lead - 5, syllables[following, 0], *breath))
    table, frames = np.array(points), np.arange(len(speech.mouth))
    times = np.maximum.accumulate(table[:, 0])
    place, level_db, held, sounds = (np.interp(frames, times, row) for row in table.T[1:])
    place = np.clip(place + blurred(rng.normal(0, 6, len(frames)), 24), 0, len(frames) - 1)
    return place, np.maximum(np.interp(place, frames, speech.voiced), held) * sounds, level_db


def _pitch(
    notes: list[Note], frames: int, frame_s: float, style: Style, rng: np.random.Generator
) -> tuple[Values, Values]:
    """Glide from note to note: by frame, semitones and a swell in dB, both with vibrato."""
    count = len(notes)
    starts = np.array([note.start for note in notes]) + rng.integers(-2, 3, count)
    lengths = np.array([note.end - note.start for note in notes])
    now = np.maximum(np.searchsorted(starts, np.arange(frames), side="right") - 1, 0)
    since = np.maximum(np.arange(frames) - starts[now], 0)
    tones = np.array([note.pitch for note in notes]) + rng.normal(0, 0.12, count)
    scoops = rng.uniform(-2.5, 0, count) * (rng.random(count) < SCOOPED)
    glide = blurred(tones[now] + scoops[now] * np.exp(-since / 8), int(rng.integers(5, 20)))
    drift = blurred(rng.normal(0, 0.4, frames), 50) + rng.normal(0, 0.07, frames)
    depths = rng.uniform(0.2, style.vibrato[1], count) * (rng.random(count) < style.vibrato[0])
    hz = rng.uniform(4.5, 7) * (1 + blurred(rng.normal(0, 0.5, frames), 40))
    turn = 2 * np.pi * (np.cumsum(hz) * frame_s + rng.random())
    vibrato = np.clip((since * frame_s - rng.uniform(0.1, 0.3)) / 0.3, 0, 1) * depths[now]
    arch = np.sin(np.pi * np.clip(since / lengths[now], 0, 1)) - 0.6
    swell = rng.uniform(0, 6, count)[now] * arch + rng.normal(0, 0.4, frames)
    swell += 2.5 * vibrato * np.sin(turn + rng.uniform(0, 2 * np.pi))
    return glide + drift + vibrato * np.sin(turn), swell


def _folds(hz: Values, voiced: Values, speech: Speech, rng: np.random.Generator) -> Samples:
    """Make what the mouth filters: pulses of all harmonics alike, and noise, of unit power.

    The harmonics' sum is Dirichlet's kernel; the highest is faded, so that none springs up.
    """
    frame = (np.arange(speech.samples) + speech.size / 2) / speech.hop
    each_hz, on = (np.interp(frame, np.arange(len(hz)), row) for row in (hz, voiced))
    turn = np.cumsum(each_hz) / speech.rate
    phase = (2 * np.pi * (turn - np.round(turn)) + 1e-9).astype(np.float32)
    harmonics = (0.48 * speech.rate / each_hz).astype(np.float32)
    whole = np.floor(harmonics)
    pulses = np.sin((whole + 0.5) * phase) / (2 * np.sin(phase / 2)) - 0.5
    pulses += (harmonics - whole) * np.cos((whole + 1) * phase)
    noise, half_hz = white(speech.samples, rng), np.exp(rng.uniform(*np.log(BREATHY_HZ)))
    tone = shaped(pulses * np.sqrt(2 / harmonics), speech.rate, lambda hz: _below(hz / half_hz))
    breath = shaped(noise, speech.rate, lambda hz: _below(half_hz / hz))
    return (np.sqrt(on) * (tone + breath) + np.sqrt(1 - on) * noise).astype(np.float32)


def _below(ratio: Values) -> Values:
    return 1 / np.sqrt(1 + ratio**3)


def _rms(audio: Samples) -> np.float32:
    return np.sqrt(np.mean(np.square(audio)))
