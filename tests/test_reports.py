"""The account of a day: no instant is counted twice, none is left out, and what is said of it."""

from __future__ import annotations

import csv
import gc
import io
import json
import sqlite3
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stderr
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import DAY_MS, HOUR_MS, MIDNIGHT, MINUTE_MS, NAMED, RATE, Script

from rtclassify.cli import main
from rtclassify.reports.accounts import Account, Period
from rtclassify.reports.day import report
from rtclassify.reports.days import bounds, zone
from rtclassify.reports.reading import opened
from rtclassify.sinks.chain import Entry
from rtclassify.sinks.ledger import Ledger

DAY = date(2026, 3, 14)
UTC = ZoneInfo("UTC")
ENDS = MIDNIGHT + DAY_MS


def reported(script: Script, path: Path, tz: str = "UTC", day: date = DAY) -> dict[str, Any]:
    return report(script.write(path), day, zone(tz), ())


def covering(script: Script) -> Script:
    """Let the journal cover the whole day."""
    script.restart("cccccccc")
    script.heartbeat(MIDNIGHT - 1, [])
    script.heartbeat(ENDS, [])
    return script


def account(script: Script, start: int, end: int) -> Account:
    counted = Account(Period(MIDNIGHT, start, end))
    for row in script.rows:
        counted.take(row)
    counted.finish()
    return counted


def totals(counted: Account) -> dict[str, Counter[str]]:
    return {name: tally.total() for name, tally in counted.tallies.items()}


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Anything that a daemon could say, and more: clocks that jump, losses, restarts, holes."""
    script = Script()
    at, sample = MIDNIGHT + draw(st.integers(-HOUR_MS, DAY_MS)), 0
    for _ in range(draw(st.integers(1, 40))):
        at += draw(st.sampled_from([500, 500, 500, 499, 502, 3_000, MINUTE_MS, -700, 5 * HOUR_MS]))
        channel = draw(st.sampled_from("ab"))
        match draw(st.sampled_from(["label"] * 6 + ["away", "back", "beat", "restart", "loss"])):
            case "label":
                name = draw(st.sampled_from(["speech", "music", "silence", "cough"]))
                undated = draw(st.integers(0, 9)) == 0
                script.label(
                    name, None if undated else at, start=sample, channel=channel, sent_ms=at
                )
                sample += RATE // 2
            case "away":
                script.state("no-capture", at, at - draw(st.integers(0, 9_000)), channel=channel)
            case "back":
                script.state("programme", at, at, channel=channel)
            case "beat":
                state = draw(st.sampled_from(["no-capture", "programme"]))
                script.heartbeat(at, [script.status(state, None, channel=channel)])
            case "restart":
                script.restart(draw(st.sampled_from(["aaaaaaaa", "bbbbbbbb"])))
                sample = 0
            case "loss":
                sample += draw(st.integers(1, RATE))
    return script


@settings(deadline=None, max_examples=300)
@given(script=scripts(), cut=st.integers(0, 24))
def test_all_labels_with_what_is_unknown_add_up_to_the_day_and_to_its_parts(
    script: Script, cut: int
) -> None:
    at = MIDNIGHT + cut * HOUR_MS
    whole = totals(account(script, MIDNIGHT, ENDS))

    assert {total.total() for total in whole.values()} <= {DAY_MS}
    first, second = totals(account(script, MIDNIGHT, at)), totals(account(script, at, ENDS))
    assert {name: first[name] + second[name] for name in whole} == whole


@settings(deadline=None, max_examples=100)
@given(script=scripts())
def test_hours_add_up_to_the_day_and_each_is_one_hour_long(script: Script) -> None:
    for tally in account(script, MIDNIGHT, ENDS).tallies.values():
        assert {hour.total() for hour in tally.hours.values()} == {HOUR_MS}
        assert sorted(tally.hours) == list(range(24))
        ends = [run.end for run in tally.runs]
        assert [run.start for run in tally.runs] == [MIDNIGHT, *ends[:-1]]
        assert ends[-1] == ENDS


@settings(deadline=None, max_examples=100)
@given(names=st.lists(st.sampled_from(["speech", "music", "other"]), min_size=1, max_size=60))
def test_each_label_gets_as_many_half_seconds_as_were_said(names: list[str]) -> None:
    script = Script()
    script.programme(MIDNIGHT + HOUR_MS - 10_000, [(name, 0.5) for name in names])
    (total,) = totals(account(script, MIDNIGHT, ENDS)).values()

    assert {n: total[n] for n in names} == {n: 500 * c for n, c in Counter(names).items()}


def test_a_hop_that_an_hour_cuts_is_split_there(tmp_path: Path) -> None:
    script = Script()
    script.label("speech", MIDNIGHT + HOUR_MS + 200, start=0)

    hours = reported(covering(script), tmp_path / "j")["channels"]["main"]["hours"]

    assert [hour["seconds"]["speech"] for hour in hours[:3]] == [0.3, 0.2, 0.0]


def test_a_clock_that_is_set_back_counts_nothing_twice(tmp_path: Path) -> None:
    script = Script()
    at = script.programme(MIDNIGHT, [("speech", 600)])
    script.programme(at - 300_000, [("music", 600)])

    said = reported(covering(script), tmp_path / "j")["channels"]["main"]["seconds"]

    assert (said["speech"], said["music"]) == (600.0, 300.0)


def test_times_that_a_fit_moves_by_milliseconds_leave_no_holes(tmp_path: Path) -> None:
    script = Script()
    for number in range(200):
        jitter = number % 7 - 3
        script.label("music", MIDNIGHT + 500 * (number + 1) + jitter, start=number * RATE // 2)

    (first, *rest) = reported(covering(script), tmp_path / "j")["channels"]["main"]["timeline"]

    assert (first["label"], first["seconds"]) == ("music", pytest.approx(100.0, abs=0.003))
    assert [each["label"] for each in rest] == ["unknown"]


def test_no_capture_lasts_until_it_is_over_and_not_beyond_a_crash(tmp_path: Path) -> None:
    script = Script()
    at = script.programme(MIDNIGHT, [("speech", 60)])
    script.state("no-capture", at + 800, at)
    script.state("programme", at + 30_000, at + 30_000)
    at = script.programme(at + 30_000, [("speech", 60)])
    script.state("no-capture", at + 800, at)
    script.heartbeat(at + 20_000, [script.status("no-capture", at)])
    script.restart("bbbbbbbb")
    script.programme(at + 100_000, [("speech", 60)])

    channel = reported(covering(script), tmp_path / "j")["channels"]["main"]

    assert channel["seconds"]["no-capture"] == 30.0 + 20.0
    timeline = [(each["label"], each["seconds"]) for each in channel["timeline"]][:-1]
    assert timeline == [
        ("speech", 60.0), ("no-capture", 30.0), ("speech", 60.0),
        ("no-capture", 20.0), ("unknown", 80.0), ("speech", 60.0),
    ]  # fmt: skip


def test_a_channel_that_never_had_audio_is_in_the_report_from_its_heartbeats(
    tmp_path: Path,
) -> None:
    script = Script()
    for second in range(100):
        beat = [script.status("no-capture", None, channel="dead")]
        script.heartbeat(MIDNIGHT + 1000 * second, beat)

    said = report(script.write(tmp_path / "j"), DAY, UTC, ())

    assert said["channels"]["dead"]["seconds"]["no-capture"] == 99.0


def test_silences_of_both_kinds_are_one_and_the_longest_comes_first(tmp_path: Path) -> None:
    script = Script()
    stretches = [("silence", 5.0), ("speech", 9.0), ("silence", 4.0), ("digital-silence", 8.0)]
    script.programme(MIDNIGHT, [*stretches, ("music", 5.0), ("digital-silence", 7.0)])

    silences = reported(covering(script), tmp_path / "j")["channels"]["main"]["silences"]

    assert [(s["label"], s["seconds"]) for s in silences] == [
        ("silence", 12.0), ("digital-silence", 7.0), ("silence", 5.0),
    ]  # fmt: skip


def test_music_is_shared_out_of_what_was_heard(tmp_path: Path) -> None:
    script = Script()
    script.programme(
        MIDNIGHT, [("music", 60), ("speech+music", 30), ("speech", 10), ("unsure", 20)]
    )

    music = reported(covering(script), tmp_path / "j")["channels"]["main"]["music"]

    assert music == {"alone_s": 60.0, "with_others_s": 30.0, "heard_s": 120.0, "share": 0.75}


def test_losses_are_counted_through_restarts_but_not_those_of_the_day_before(
    tmp_path: Path,
) -> None:
    script = Script()
    for second, lost in [(-120, 100), (-10, 500), (10, 700), (20, 700), (30, 1_000)]:
        script.heartbeat(MIDNIGHT + second * 1000, [script.status("programme", 0, lost=lost)])
    script.restart("bbbbbbbb")
    script.heartbeat(MIDNIGHT + 60_000, [script.status("programme", 0, lost=7)])
    script.lose("heartbeat/", 3)
    script.heartbeat(MIDNIGHT + 70_000, [script.status("programme", 0, lost=7)])
    script.heartbeat(MIDNIGHT + 80_000, [script.status("programme", 0, lost=7)])

    said = report(script.write(tmp_path / "j"), DAY, UTC, ())

    assert said["channels"]["main"]["lost_samples"] == 500 + 7
    assert [start["epoch"] for start in said["starts"]] == ["9f31c07a", "bbbbbbbb"]
    assert said["missing_messages"] == 3


def test_the_clock_error_is_the_median_and_the_greatest(tmp_path: Path) -> None:
    script = Script()
    errors = [2.0, 9.5, 3.0, 4.0, 2.5, None]
    for number, error in enumerate(errors):
        end = MIDNIGHT + 500 * (number + 1)
        script.label("music", end, start=number * RATE // 2, error_ms=error)

    said = reported(covering(script), tmp_path / "j")["channels"]["main"]

    assert said["utc_err_ms"] == {"median": 3.0, "greatest": 9.5}


def test_labels_without_a_time_are_counted_as_such_and_nowhere_else(tmp_path: Path) -> None:
    script = Script()
    script.label("music", None, sent_ms=MIDNIGHT + 5_000)

    said = reported(covering(script), tmp_path / "j")["channels"]["main"]

    assert (said["undated_labels"], said["seconds"]["unknown"]) == (1, 86_400.0)


def test_alarms_tell_when_and_how_long_also_those_of_yesterday_and_those_cut_off(
    tmp_path: Path,
) -> None:
    script = Script()
    old = {
        "incident": "9f31c07a-main-7", "kind": "hiss", "since": 0, "sentence": "it hisses",
        "utc_since": "2026-03-13T20:00:00.000Z", "measured": 0.5,
    }  # fmt: skip
    for second in range(0, 50, 10):
        beat = [script.status("programme", 0, alarms=[old])]
        script.heartbeat(MIDNIGHT + 1000 * second, beat)
    script.alarm("cleared", "hiss", MIDNIGHT + 60_000, number=7)
    script.alarm("raised", "silence", MIDNIGHT + HOUR_MS, number=8)
    script.alarm("cleared", "silence", MIDNIGHT + HOUR_MS + 30_000, number=8)
    script.alarm("raised", "clipping", MIDNIGHT + 2 * HOUR_MS, number=9)
    script.heartbeat(MIDNIGHT + 3 * HOUR_MS, [script.status("programme", 0)])

    alarms = reported(covering(script), tmp_path / "j")["alarms"]

    assert [(a["kind"], a["start"][11:19], a["seconds"], a["cleared"]) for a in alarms] == [
        ("hiss", "20:00:00", 4 * 3600 + 60.0, True),
        ("silence", "01:00:00", 30.0, True),
        ("clipping", "02:00:00", 3600.0, False),
    ]


@pytest.mark.parametrize(
    ("day", "hours", "first"),
    [
        (date(2026, 3, 29), 23, "2026-03-29T00:00:00.000+01:00"),
        (date(2026, 10, 25), 25, "2026-10-25T00:00:00.000+02:00"),
    ],
)
def test_days_and_hours_are_those_of_the_time_zone_also_when_clocks_change(
    tmp_path: Path, day: date, hours: int, first: str
) -> None:
    start, end = bounds(day, ZoneInfo("Europe/Berlin"))
    script = Script()
    for at in (start - 1, start + 1, end):
        script.heartbeat(at, [script.status("no-capture", None)])

    said = reported(script, tmp_path / "j", "Europe/Berlin", day)["channels"]["main"]["hours"]

    assert len(said) == hours == len({hour["start"] for hour in said})
    assert said[0]["start"] == first
    assert {sum(hour["seconds"].values()) for hour in said} == {3600.0}


def test_a_part_of_a_day_is_reported_as_far_as_the_journal_goes(tmp_path: Path) -> None:
    script = Script()
    script.programme(MIDNIGHT + 2 * HOUR_MS, [("music", 30)])

    said = report(script.write(tmp_path / "j"), DAY, UTC, ())

    assert said["start"] == "2026-03-14T02:00:00.520Z"
    assert said["end"] == "2026-03-14T02:00:32.520Z"
    assert sum(said["channels"]["main"]["seconds"].values()) == 32.0


def test_without_a_day_the_newest_is_taken_if_yesterday_is_lacking(tmp_path: Path) -> None:
    script = Script()
    script.programme(MIDNIGHT - DAY_MS, [("music", 30)])
    script.programme(MIDNIGHT, [("music", 30)])

    assert report(script.write(tmp_path / "j"), None, UTC, ())["day"] == "2026-03-14"


def test_the_daemon_may_write_while_a_report_is_made(tmp_path: Path) -> None:
    script = Script()
    script.programme(MIDNIGHT, [("music", 30)])
    ledger = Ledger(script.write(tmp_path / "j"), NAMED)
    with opened(tmp_path / "j") as journal:
        rows = journal.rows(MIDNIGHT, ENDS)
        first = next(rows)
        for number in range(50):
            ledger.append([Entry(MIDNIGHT + 40_000, "label/main/", "later", number, b"{}")])
        rest = list(rows)
    ledger.close()

    assert [first, *rest] == sorted(script.rows, key=lambda row: row.utc_ms)


def test_memory_grows_with_changes_not_with_labels() -> None:
    def peak(seconds: int) -> int:
        script = Script()
        script.programme(MIDNIGHT, [("music", seconds)])
        gc.collect()
        tracemalloc.start()
        account(script, MIDNIGHT, ENDS)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(3_000) < peak(300) + 20_000


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "rtclassify", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def journal(memory: Path) -> Path:
    script = Script()
    script.programme(MIDNIGHT + HOUR_MS - 60_000, [("speech", 90), ("music", 60), ("<odd>", 9)])
    script.alarm("raised", "silence", MIDNIGHT + HOUR_MS)
    return script.write(memory / "journal")


def test_the_command_prints_tables_and_writes_csv_json_and_a_page(
    journal: Path, tmp_path: Path
) -> None:
    places = [tmp_path / name for name in ("a.csv", "a.json", "a.html")]
    options = zip(("--csv", "--json", "--html"), places, strict=True)
    done = command("report", journal, *(word for pair in options for word in pair))

    assert done.returncode == 0, done.stderr
    assert "2026-03-14" in done.stdout
    assert "silence raised" in done.stdout
    rows = list(csv.DictReader(io.StringIO(places[0].read_text(), newline="")))
    assert [(row["hour"][11:16], row["speech"], row["music"]) for row in rows] == [
        ("00:00", "0.9913", "0.0"), ("01:00", "0.5", "1.0"),
    ]  # fmt: skip
    said = json.loads(places[1].read_text())
    assert said["channels"]["main"]["seconds"]["<odd>"] == 9.0
    page = places[2].read_text()
    assert "&lt;odd&gt;" in page
    assert "<odd>" not in page
    assert not [word for word in ("http:", "https:", "src=", "@import", "url(") if word in page]


def refused(*arguments: str | Path) -> tuple[int, str]:
    """Run a command in this process; return its exit code and the one sentence that it says."""
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stderr(said):
        patch.setattr(sys, "argv", ["rtclassify", *map(str, arguments)])
        patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")  # which `main` would leave set
        with pytest.raises(SystemExit) as ended:
            main()
    assert said.getvalue().count("\n") == 1, said.getvalue()
    assert isinstance(ended.value.code, int)
    return ended.value.code, said.getvalue()


def altered(journal: Path, path: Path, statement: str) -> Path:
    path.write_bytes(journal.read_bytes())
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()
    return path


@pytest.mark.parametrize("verb", [["report"], ["export", "--format", "csv"]])
def test_what_cannot_be_reported_is_said_in_one_sentence(
    journal: Path, tmp_path: Path, verb: Sequence[str]
) -> None:
    torn = tmp_path / "torn"
    torn.write_bytes(journal.read_bytes()[:20_000] + b"x" * 30_000)
    empty = Script().write(tmp_path / "empty")
    other = altered(journal, tmp_path / "other", "PRAGMA user_version = 2")
    garbled = altered(journal, tmp_path / "garbled", "UPDATE message SET body = '{}' WHERE id = 9")

    assert refused(*verb, tmp_path / "none")[0] == 2
    assert refused(*verb, torn)[0] == 9
    code, sentence = refused(*verb, empty)
    assert (code, "holds no messages yet" in sentence) == (2, True)
    code, sentence = refused(*verb, other)
    assert (code, "no journal of this version" in sentence) == (2, True)
    assert refused(*verb, garbled)[0] == 9
    code, sentence = refused(*verb, journal, "--day", "2025-01-01")
    assert (code, "from 2026-03-14 to 2026-03-14" in sentence) == (2, True)
    assert refused(*verb, journal, "--day", "yesterday")[0] == 2
    assert refused(*verb, journal, "--channel", "nobody")[0] == 2


def test_a_report_needs_no_tensorflow() -> None:
    code = (
        "import sys, rtclassify.cli.daybook, rtclassify.reports.page, rtclassify.reports.day;"
        "print(sorted({'tensorflow', 'keras', 'zmq'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
