"""Labels of recordings: what they say, where they lie, and how each format writes them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from rtclassify.cli.classify import FormatName
from rtclassify.cli.formats import FORMATS, clock_time
from rtclassify.cli.labelling import label
from rtclassify.cli.output import opened
from rtclassify.cli.recording import Recording
from rtclassify.errors import SinkError, SourceError
from rtclassify.events import Segment
from rtclassify.stream import AudioBlock, Item
from rtclassify.testing import EnvelopeClassifier

RATE = 1_000
WINDOW_S, HOP_S = 5.0, 0.5

SPEECH, MUSIC, BOTH, OTHER = 0.25, -0.75, 0.75, -0.25
"""Constant levels that `EnvelopeClassifier` takes for these."""

NAMES = ["speech", "music", "speech+music", "other", "music"]
"""The segments of the programme below."""


def envelope() -> EnvelopeClassifier:
    return EnvelopeClassifier(rate=RATE, window=round(WINDOW_S * RATE), hop=round(HOP_S * RATE))


def recording(path: Path, *stretches: tuple[float, float]) -> str:
    """Write stretches of (level, seconds), bit for bit what a classifier will hear."""
    audio = np.concatenate([np.full(round(s * RATE), level, np.float32) for level, s in stretches])
    soundfile.write(path, audio, RATE, subtype="FLOAT", format="WAV")
    return str(path)


def written(form: str, *paths: str) -> str:
    out = io.StringIO()
    console = Console(file=out)
    classifier = envelope()
    writer = FORMATS[form](console, classifier.labels, RATE)
    writer.head()
    for path in paths:
        label(path, classifier, writer, console)
    return out.getvalue()


def said(*paths: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written("jsonl", *paths).splitlines()]


@pytest.fixture
def programme(tmp_path: Path) -> str:
    stretches = (SPEECH, 12), (MUSIC, 15), (BOTH, 10), (OTHER, 9), (MUSIC, 8)
    return recording(tmp_path / "programme.wav", *stretches)


def test_the_command_offers_every_format() -> None:
    assert set(get_args(FormatName)) == set(FORMATS)


def test_every_hop_gets_one_line(programme: str) -> None:
    lines = said(programme)

    starts = np.arange(0, 54, HOP_S)
    assert [line["start_s"] for line in lines] == starts.tolist()
    assert [line["end_s"] for line in lines] == (starts + HOP_S).tolist()
    assert {line["path"] for line in lines} == {programme}


def test_a_line_says_what_its_hop_holds(tmp_path: Path) -> None:
    stretches = (SPEECH, 12), (MUSIC, 15), (BOTH, 10), (OTHER, 9.2), (MUSIC, 8)
    at = {line["start_s"]: line for line in said(recording(tmp_path / "a.wav", *stretches))}

    assert (at[11.5]["label"], at[11.5]["probs"]) == ("speech", {"speech": 1.0, "music": 0.0})
    assert (at[12.0]["label"], at[12.0]["probs"]) == ("music", {"speech": 0.0, "music": 1.0})
    assert at[29.0]["label"] == "speech+music"
    assert at[40.0]["label"] == "other"
    assert (at[46.0]["label"], at[46.0]["probs"]) == ("music", {"speech": 0.0, "music": 0.6})


@settings(deadline=None, max_examples=30)
@given(samples=st.integers(5_000, 40_000))
def test_labels_never_pass_the_end_and_miss_less_than_a_hop(
    tmp_path_factory: pytest.TempPathFactory, samples: int
) -> None:
    path = tmp_path_factory.mktemp("some") / "some.wav"
    lines = said(recording(path, (SPEECH, samples / RATE)))

    assert samples / RATE - HOP_S < lines[-1]["end_s"] <= samples / RATE
    assert len(lines) == samples // 500


@pytest.mark.parametrize("seconds", [0.5, 1.7, 3.4, 4.999])
def test_a_short_recording_is_repeated_and_its_labels_cut(tmp_path: Path, seconds: float) -> None:
    half = round(seconds * RATE / 2) / RATE
    path = recording(tmp_path / "short.wav", (SPEECH, half), (OTHER, seconds - half))
    lines = said(path)
    segments = written("audacity", path).splitlines()

    starts = np.arange(0, seconds, HOP_S)
    assert [line["start_s"] for line in lines] == starts.tolist()
    assert [line["end_s"] for line in lines] == [*starts[1:], seconds]
    repeated = tmp_path / "repeated.wav"
    soundfile.write(repeated, np.resize(soundfile.read(path)[0], 5 * RATE), RATE)
    assert [line["probs"] for line in lines] == [
        line["probs"] for line in said(str(repeated))[: len(lines)]
    ]
    spans = [(start, end) for start, end, _ in audacity_segments("\n".join(segments))]
    assert (spans[0][0], spans[-1][1]) == (0.0, seconds)
    assert all(start < end for start, end in spans)


def test_a_recording_too_short_to_repeat_is_refused(tmp_path: Path) -> None:
    path = recording(tmp_path / "tiny.wav", (SPEECH, 0.499))

    with pytest.raises(SourceError, match=r"tiny\.wav holds 0\.50 s .* at least 0\.5 s"):
        said(path)


def test_a_recording_of_a_window_or_more_is_not_repeated(tmp_path: Path) -> None:
    path = recording(tmp_path / "window.wav", (SPEECH, WINDOW_S))

    with Recording(path, rate=RATE, window=5_000) as source:
        blocks: list[Item] = []
        while not source.ended:
            blocks += source.read()

    heard = [block for block in blocks if isinstance(block, AudioBlock)]
    assert heard == blocks
    assert sum(len(block.samples) for block in heard) == 5_000


def test_one_recording_does_not_colour_the_next(tmp_path: Path, programme: str) -> None:
    other = recording(tmp_path / "other.wav", (MUSIC, 8), (SPEECH, 8))

    assert said(programme, other) == said(programme) + said(other)


def test_csv_reads_back_as_the_same_labels_whatever_the_file_is_called(tmp_path: Path) -> None:
    path = recording(tmp_path / 'a "quoted", odd\nname.wav', (SPEECH, 6), (MUSIC, 6))

    rows = list(csv.DictReader(io.StringIO(written("csv", path), newline="")))

    assert list(rows[0]) == ["path", "start_s", "end_s", "label", "speech", "music"]
    assert [
        {
            "path": row["path"],
            "start_s": float(row["start_s"]),
            "end_s": float(row["end_s"]),
            "probs": {"speech": float(row["speech"]), "music": float(row["music"])},
            "label": row["label"],
        }
        for row in rows
    ] == said(path)


def audacity_segments(text: str) -> list[tuple[float, float, str]]:
    lines = [line.split("\t") for line in text.splitlines()]
    return [(float(start), float(end), name) for start, end, name in lines]


def test_audacity_gets_segments_without_holes_at_the_true_boundaries(programme: str) -> None:
    segments = audacity_segments(written("audacity", programme))

    assert [name for *_, name in segments] == NAMES
    assert segments[0][0] == 0.0
    assert segments[-1][1] == 54.0
    assert [end for _, end, _ in segments[:-1]] == [start for start, *_ in segments[1:]]
    assert [end for _, end, _ in segments[:-1]] == [12, 27, 37, 46]


CUE = re.compile(r"(\d\d+):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d\d+):([0-5]\d):([0-5]\d)\.(\d{3})")


def webvtt_segments(text: str) -> list[tuple[float, float, str]]:
    """Read cues by the syntax of the WebVTT specification, strictly."""
    head, *cues = text.rstrip("\n").split("\n\n")
    assert head == "WEBVTT"
    segments = []
    for cue in cues:
        times, payload = cue.split("\n")
        match = CUE.fullmatch(times)
        assert match, times
        h1, m1, s1, ms1, h2, m2, s2, ms2 = map(int, match.groups())
        start = round(h1 * 3600 + m1 * 60 + s1 + ms1 / 1e3, 3)
        end = round(h2 * 3600 + m2 * 60 + s2 + ms2 / 1e3, 3)
        assert start < end
        segments.append((start, end, payload))
    return segments


def test_webvtt_says_the_same_as_audacity(programme: str) -> None:
    assert webvtt_segments(written("webvtt", programme)) == audacity_segments(
        written("audacity", programme)
    )


def segment_of(name: str, start: int, end: int) -> Segment:
    return Segment("a", 0, name, start, end, {"speech": 0.5, "music": 0.5}, None, None)


def write_segments(form: str, segments: Sequence[Segment]) -> str:
    out = io.StringIO()
    writer = FORMATS[form](Console(file=out), ("speech", "music"), RATE)
    writer.head()
    writer.begin("a.wav")
    for segment in segments:
        writer.segment(segment)
    writer.end(segments[-1].end or 0)
    return out.getvalue()


def test_webvtt_escapes_what_a_cue_must_not_hold() -> None:
    text = write_segments("webvtt", [segment_of("R&B <live> --> next", 0, 1000)])

    assert text.splitlines()[-1] == "R&amp;B &lt;live&gt; --&gt; next"


@given(start=st.integers(0, 40 * 3600 * RATE), length=st.integers(1, 3600 * RATE))
def test_cue_times_read_back_to_the_millisecond(start: int, length: int) -> None:
    text = write_segments("webvtt", [segment_of("music", start, start + length)])

    (read,) = webvtt_segments(text)

    assert read == (start / RATE, (start + length) / RATE, "music")


def test_the_table_shows_segments_and_how_much_there_is_of_each(programme: str) -> None:
    lines = written("table", programme).splitlines()

    assert lines[0] == programme
    assert [line.split()[3] for line in lines[1:6]] == NAMES
    totals = [line.split() for line in lines[6:10]]
    lengths: defaultdict[str, float] = defaultdict(float)
    for start, end, name in audacity_segments(written("audacity", programme)):
        lengths[name] += end - start
    assert {name: seconds(total) for _, total, name in totals} == pytest.approx(lengths, abs=0.06)
    assert [share for share, *_ in totals] == [
        f"{n / 54:.0%}" for n in sorted(lengths.values())[::-1]
    ]
    assert lines[10].split() == ["in", "all", "0:54.0"]


def seconds(clock: str) -> float:
    minutes, rest = clock.split(":")
    return 60 * int(minutes) + float(rest)


def test_a_table_that_is_not_for_a_terminal_has_no_colours(programme: str) -> None:
    assert "\x1b" not in written("table", programme)


@pytest.mark.parametrize(
    ("at", "shown"),
    [(0.0, "0:00.0"), (59.96, "1:00.0"), (3599.94, "59:59.9"), (3600.0, "1:00:00.0"),
     (86_399.94, "23:59:59.9")],
)  # fmt: skip
def test_clock_times_carry_over_when_rounded(at: float, shown: str) -> None:
    assert clock_time(at) == shown


def write_to(output: Path, path: str) -> None:
    with opened(output) as out:
        console = Console(file=out)
        label(path, envelope(), FORMATS["jsonl"](console, envelope().labels, RATE), console)


def test_a_file_gets_the_labels_line_by_line(programme: str, tmp_path: Path) -> None:
    write_to(tmp_path / "labels.jsonl", programme)

    assert (tmp_path / "labels.jsonl").read_text() == written("jsonl", programme)


def test_a_full_disk_is_said_in_one_sentence(programme: str) -> None:
    with pytest.raises(SinkError, match=r"cannot be written to /dev/full: No space left"):
        write_to(Path("/dev/full"), programme)


def test_an_output_in_no_folder_is_said_in_one_sentence(programme: str, tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"missing/labels\.csv: No such file or directory"):
        write_to(tmp_path / "missing" / "labels.csv", programme)
