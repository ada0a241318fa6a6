"""Segments out of the journal, in formats that others read: each is read back by its grammar,
and by somebody else's reader where one is installed."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import DAY_MS, MIDNIGHT, Script
from rich.console import Console
from test_classify import audacity_segments, webvtt_segments
from test_reports import command, refused

from rtclassify.cli.export import SegmentName
from rtclassify.cli.formats import SEGMENT_FORMATS
from rtclassify.events import Segment
from rtclassify.reports.segments import segments

Told = list[tuple[float, float, str]]
LENGTH_S = 303.0
PROGRAMME: Told = [
    (0.0, 90.25, "speech"), (90.25, 100.0, "music"),
    (105.0, 200.0, "speech+music"), (200.0, 300.0, "other"),
]  # fmt: skip
"""What the journal below holds from midnight on."""


def milliseconds(seconds: float) -> int:
    return MIDNIGHT + round(seconds * 1000)


@pytest.fixture(scope="module")
def journal(memory: Path) -> Path:
    script = Script()
    script.segment("closed", "speech", MIDNIGHT - 60_000, milliseconds(90.25))
    for start, end, name in PROGRAMME[1:]:
        script.segment("open", name, milliseconds(start), milliseconds(start))
        script.segment("closed", name, milliseconds(start), milliseconds(end))
    return script.write(memory / "journal")


def exported(journal: Path, form: str, *options: str) -> str:
    done = command("export", journal, "--format", form, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rttm_segments(text: str) -> Told:
    """Read ten fields a line, as appendix A of NIST's RT-09 evaluation plan has them."""
    found = []
    for line in text.splitlines():
        kind, name, channel, start, length, spelling, subtype, speaker, sure, ahead = line.split(
            " "
        )
        assert (kind, channel) == ("SPEAKER", "1")
        assert {spelling, subtype, sure, ahead} == {"<NA>"}
        assert name
        found.append((float(start), round(float(start) + float(length), 3), speaker))
    return found


TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?<!\S)(-?\d+(?:\.\d+)?)(?!\S)|<(exists)>')


def textgrid_segments(text: str) -> Told:
    """Read as Praat does: free-standing numbers, texts in quotes and flags; the rest is comment."""
    found = TOKEN.finditer(text)
    tokens: Iterator[Any] = (
        float(m[2]) if m[2] else m[3] or m[1].replace('""', '"') for m in found
    )
    assert [next(tokens) for _ in range(2)] == ["ooTextFile", "TextGrid"]
    begin, end, flag, tiers = (next(tokens) for _ in range(4))
    assert (begin, flag, tiers) == (0.0, "exists", 1.0)
    assert next(tokens) == "IntervalTier"
    assert next(tokens)
    assert [next(tokens), next(tokens)] == [begin, end]
    intervals = [(next(tokens), next(tokens), next(tokens)) for _ in range(int(next(tokens)))]
    assert next(tokens, None) is None
    ends = [interval[1] for interval in intervals]
    assert [interval[0] for interval in intervals] == [begin, *ends[:-1]]
    assert ends[-1] == end
    assert all(start < until for start, until, _ in intervals)
    return [interval for interval in intervals if interval[2]]


def jams_segments(text: str) -> Told:
    """Read by the schema that JAMS 0.3 publishes."""
    said = json.loads(text)
    about = said["file_metadata"]
    assert re.fullmatch(r"\d\.\d\.\d", about["jams_version"])
    (annotation,) = said["annotations"]
    assert annotation["namespace"] == "segment_open"
    assert set(annotation["annotation_metadata"]["curator"]) == {"name", "email"}
    assert annotation["duration"] == about["duration"]
    for each in annotation["data"]:
        assert set(each) == {"time", "duration", "value", "confidence"}
    return [
        (e["time"], round(e["time"] + e["duration"], 3), e["value"]) for e in annotation["data"]
    ]


def csv_segments(text: str) -> Told:
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    places = [
        [datetime.fromisoformat(row[end]).timestamp() - MIDNIGHT / 1000 for end in ("start", "end")]
        for row in rows
    ]
    return [
        (round(start, 3), round(end, 3), row["label"])
        for (start, end), row in zip(places, rows, strict=True)
    ]


READERS = {
    "csv": csv_segments,
    "audacity": audacity_segments,
    "rttm": rttm_segments,
    "webvtt": webvtt_segments,
    "textgrid": textgrid_segments,
    "jams": jams_segments,
}


def test_the_command_offers_every_format_and_each_has_a_reader() -> None:
    assert set(get_args(SegmentName)) == set(SEGMENT_FORMATS) == set(READERS)


@pytest.mark.parametrize("form", READERS)
def test_a_day_reads_back_as_its_segments(journal: Path, form: str) -> None:
    assert READERS[form](exported(journal, form, "--day", "2026-03-14")) == PROGRAMME


def test_any_time_can_be_had_and_what_reaches_beyond_is_cut(journal: Path) -> None:
    period = "--from", "2026-03-14T00:01:30Z", "--to", "2026-03-14T00:02:30Z"

    assert rttm_segments(exported(journal, "rttm", *period)) == [
        (0.0, 0.25, "speech"), (0.25, 10.0, "music"), (15.0, 60.0, "speech+music"),
    ]  # fmt: skip


def test_csv_tells_the_channel_the_length_and_what_each_answer_got(journal: Path) -> None:
    text = exported(journal, "csv", "--day", "2026-03-14")
    first = next(csv.DictReader(io.StringIO(text)))

    assert first == {
        "channel": "main", "start": "2026-03-14T00:00:00.000Z", "end": "2026-03-14T00:01:30.250Z",
        "seconds": "90.25", "label": "speech", "speech": "0.25", "music": "0.75",
    }  # fmt: skip


NASTY = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1)


@settings(deadline=None, max_examples=100)
@given(
    lengths=st.lists(st.tuples(st.integers(0, 2_000), st.integers(1, 9_000), NASTY), max_size=20),
    form=st.sampled_from(["textgrid", "jams"]),
)
def test_whatever_labels_are_called_they_read_back(
    lengths: Sequence[tuple[int, int, str]], form: str
) -> None:
    out, at, told = io.StringIO(), 0, []
    writer = SEGMENT_FORMATS[form](Console(file=out), (), 1000)
    writer.head()
    writer.begin('odd "name"', datetime(2026, 3, 14, tzinfo=UTC))
    for pause, length, name in lengths:
        at += pause
        writer.segment(Segment("a", 0, name, at, at + length, {}, begun=None, ended=None))
        told.append((at / 1000, (at + length) / 1000, name))
        at += length
    writer.end(at + 1)

    assert READERS[form](out.getvalue()) == told


def test_praatio_reads_the_textgrid(journal: Path, tmp_path: Path) -> None:
    textgrid = pytest.importorskip("praatio.textgrid")
    path = tmp_path / "a.TextGrid"
    exported(journal, "textgrid", "--day", "2026-03-14", "-o", str(path))

    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=False)

    assert grid.maxTimestamp == LENGTH_S
    assert [tuple(entry) for entry in grid.getTier("main").entries] == PROGRAMME


@pytest.mark.filterwarnings("ignore:Passing a schema:DeprecationWarning")
def test_jams_validates_and_reads_the_jams(journal: Path, tmp_path: Path) -> None:
    jams = pytest.importorskip("jams")
    path = tmp_path / "a.jams"
    exported(journal, "jams", "--day", "2026-03-14", "-o", str(path))

    read = jams.load(str(path), validate=True, strict=True)

    assert read.file_metadata.duration == LENGTH_S
    observed = read.annotations[0].data
    assert [(o.time, round(o.time + o.duration, 3), o.value) for o in observed] == PROGRAMME


def test_webvtt_py_reads_the_webvtt(journal: Path, tmp_path: Path) -> None:
    webvtt = pytest.importorskip("webvtt")
    path = tmp_path / "a.vtt"
    exported(journal, "webvtt", "--day", "2026-03-14", "-o", str(path))

    cues = webvtt.read(str(path))

    assert [(c.start_in_seconds, c.end_in_seconds, c.text) for c in cues] == [
        (int(start), int(end), name) for start, end, name in PROGRAMME
    ]


def test_what_a_crash_left_open_ends_with_the_last_label() -> None:
    script = Script()
    script.segment("open", "music", MIDNIGHT + 5_000, MIDNIGHT + 5_000)
    script.programme(MIDNIGHT, [("music", 60)], beats=False)
    script.restart("bbbbbbbb")
    script.segment("open", "speech", MIDNIGHT + 90_000, MIDNIGHT + 90_000)

    (pieces,) = segments(script.rows, MIDNIGHT, MIDNIGHT + DAY_MS).values()

    assert [(p.label, p.start - MIDNIGHT, p.end - MIDNIGHT) for p in pieces] == [
        ("music", 5_000, 60_000)
    ]


def test_what_is_open_since_the_day_before_is_found_in_a_heartbeat() -> None:
    script = Script()
    opened = {
        "id": "9f31c07a-main-3", "label": "music", "start": 0,
        "utc_start": "2026-03-13T22:00:00.000Z",
    }  # fmt: skip
    script.heartbeat(MIDNIGHT, [script.status("programme", 0, segment=opened)])
    script.programme(MIDNIGHT, [("music", 60)], beats=False)

    (pieces,) = segments(script.rows, MIDNIGHT, MIDNIGHT + 30_000).values()

    assert [(p.label, p.start - MIDNIGHT, p.end - MIDNIGHT) for p in pieces] == [
        ("music", 0, 30_000)
    ]


def test_a_format_of_one_channel_wants_one_named(tmp_path: Path) -> None:
    script = Script()
    for name in ("a", "b"):
        script.segment("closed", "music", MIDNIGHT, MIDNIGHT + 5_000, channel=name)
    path = script.write(tmp_path / "journal")

    code, sentence = refused("export", path, "-f", "jams")
    assert (code, "name one of a, b with --channel" in sentence) == (2, True)
    assert jams_segments(exported(path, "jams", "--channel", "b")) == [(0.0, 5.0, "music")]
    names = [line.split(" ")[1] for line in exported(path, "rttm").splitlines()]
    assert names == ["a", "b"]


def test_a_period_is_a_day_or_has_both_ends_in_order(journal: Path) -> None:
    export = "export", journal, "-f", "csv"
    early, late = "2026-03-14T00:00:00Z", "2026-03-14T00:01:00Z"

    assert refused(*export, "--from", early)[0] == 2
    assert refused(*export, "--from", late, "--to", early)[0] == 2
    assert refused(*export, "--day", "2026-03-14", "--from", early, "--to", late)[0] == 2
    assert refused(*export, "--from", "noon", "--to", late)[0] == 2
    assert refused(*export, "-o", "/nowhere/at/all")[0] == 6
