"""``rtclassify verify`` finds every change of a journal, and says what that is worth."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.errors import JournalError, UsageError
from rtclassify.sinks.chain import CHAIN, Entry, digest_of
from rtclassify.sinks.ledger import Ledger
from rtclassify.sinks.proof import Day, verify

NAMED = {"model": "envelope@" + "0" * 64, "config": "1" * 64}
DAY_MS = 86_400_000
ROWS = 33
"""Thirty messages and a row that opens each of three days."""


@pytest.fixture(scope="module")
def journal(memory: Path) -> Path:
    path = memory / "journal"
    ledger = Ledger(path, NAMED)
    for n in range(30):
        body = json.dumps({"v": 1, "epoch": "e", "seq": n}).encode()
        ledger.append([Entry(n * DAY_MS // 10, "label/a/", "e", n, body)])
    ledger.close()
    return path


def changed(journal: Path, *statements: tuple[str, Sequence[object]]) -> Path:
    copy = journal.with_name("copy")
    for leftover in journal.parent.glob("copy*"):
        leftover.unlink()
    shutil.copy(journal, copy)
    with contextlib.closing(sqlite3.connect(copy)) as db, db:
        for statement, values in statements:
            db.execute(statement, values)
    return copy


def run(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rtclassify", "verify", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_was_not_touched_verifies_day_by_day(journal: Path) -> None:
    days = list(verify(journal))

    assert [(day.day, day.whole, day.messages) for day in days] == [
        (f"1970-01-0{n}", True, 10) for n in (1, 2, 3)
    ]


def test_the_first_row_of_a_day_names_the_model_the_settings_and_the_day_before(
    journal: Path,
) -> None:
    db = sqlite3.connect(journal)
    rows = db.execute("SELECT body FROM message WHERE topic = ?", (CHAIN,))
    openings = [json.loads(body) for (body,) in rows]
    db.close()

    assert [(o["day"], o["model"], o["config"]) for o in openings] == [
        (f"1970-01-0{n}", *NAMED.values()) for n in (1, 2, 3)
    ]
    heads = [day.head for day in verify(journal)]
    assert [opening["before"] for opening in openings] == ["0" * 64, *heads[:2]]


VALUES: dict[str, st.SearchStrategy[object]] = {
    "utc_ms": st.integers(0, 1 << 60) | st.text(max_size=3),
    "topic": st.text(max_size=9) | st.just(CHAIN),
    "epoch": st.text(max_size=3),
    "seq": st.integers(100, 1 << 60),
    "body": st.binary(max_size=50) | st.text(max_size=9),
    "digest": st.binary(min_size=32, max_size=32),
    "id": st.integers(100, 1 << 60),
}


@settings(deadline=None, max_examples=200)
@given(row=st.integers(1, ROWS), drawn=st.data())
def test_any_change_of_any_field_of_any_row_is_found(
    journal: Path, row: int, drawn: st.DataObject
) -> None:
    column = drawn.draw(st.sampled_from(list(VALUES)))
    value = drawn.draw(VALUES[column])
    db = sqlite3.connect(journal)
    query = f"SELECT {column} FROM message WHERE id = ?"  # noqa: S608 - our own columns
    (before,) = db.execute(query, (row,)).fetchone()
    db.close()
    if type(value) is type(before) and value == before:
        return
    change = f"UPDATE message SET {column} = ? WHERE id = ?"  # noqa: S608 - the same
    try:
        copy = changed(journal, (change, (value, row)))
    except sqlite3.IntegrityError:
        return  # there is such a message already: SQLite does not allow a second one

    with pytest.raises(JournalError, match=r"was changed at row|rows of .* are missing"):
        list(verify(copy))


@pytest.mark.parametrize("row", [1, 2, 12, 17, 32, ROWS])
def test_any_row_taken_out_is_found_even_if_the_others_close_ranks(journal: Path, row: int) -> None:
    taken = ("DELETE FROM message WHERE id = ?", (row,))
    closed = ("UPDATE message SET id = id - 1 WHERE id > ?", (row,))

    for statements in ([taken], [taken, closed]):
        with pytest.raises(JournalError):
            list(verify(changed(journal, *statements)))


def test_a_whole_day_taken_out_of_the_middle_is_found(journal: Path) -> None:
    taken = ("DELETE FROM message WHERE id BETWEEN 12 AND 22", ())
    closed = ("UPDATE message SET id = id - 11 WHERE id > 22", ())

    with pytest.raises(JournalError):
        list(verify(changed(journal, taken, closed)))


def test_a_row_put_in_with_a_right_digest_of_its_own_is_found(journal: Path) -> None:
    """The one after it no longer follows."""
    db = sqlite3.connect(journal)
    (before,) = db.execute("SELECT digest FROM message WHERE id = 5").fetchone()
    db.close()
    entry = Entry(DAY_MS // 10, "label/a/", "e", 1_000, b'{"v": 1}')
    values = (6, 0, "label/a/", "e", 1_000, entry.body, digest_of(before, entry))
    room = ("UPDATE message SET id = -id - 1 WHERE id > 5", ())
    moved = ("UPDATE message SET id = -id WHERE id < 0", ())
    put_in = ("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)", values)

    with pytest.raises(JournalError):
        list(verify(changed(journal, room, moved, put_in)))


def test_two_rows_that_change_places_are_found(journal: Path) -> None:
    move = "UPDATE message SET id = ? WHERE id = ?"
    swap = [(move, (-1, 5)), (move, (5, 6)), (move, (6, -1))]
    with pytest.raises(JournalError):
        list(verify(changed(journal, *swap)))


def test_bytes_that_a_bad_disk_flips_are_found(journal: Path) -> None:
    size = journal.stat().st_size
    for at in range(100, size, max(1, size // 60)):
        copy = changed(journal)
        content = bytearray(copy.read_bytes())
        if content[at] == 0:
            continue  # free space inside a page, which means nothing
        content[at] ^= 0xFF
        copy.write_bytes(content)
        try:
            days = list(verify(copy))
        except (JournalError, UsageError):
            continue
        assert days == list(verify(journal))


def test_days_removed_by_age_leave_whole_days_that_verify(journal: Path) -> None:
    copy = changed(journal)
    ledger = Ledger(copy, NAMED)
    ledger.trim(oldest_ms=DAY_MS, most_bytes=1 << 40)
    ledger.close()

    assert list(verify(copy)) == list(verify(journal))[1:]


def test_a_start_within_a_day_does_not_pass_for_its_beginning(journal: Path) -> None:
    """When rows are removed up to a row that opens a start, the day is not whole."""
    copy = changed(journal)
    late = 3 * DAY_MS - 1
    ledger = Ledger(copy, NAMED)
    ledger.append([Entry(late, "label/a/", "f", 0, b"{}")])
    ledger._db.execute("DELETE FROM message WHERE id <= ?", (ROWS,))
    (digest,) = ledger._db.execute("SELECT digest FROM mark WHERE name = 'last'").fetchone()
    ledger.close()
    db = sqlite3.connect(copy)
    (opening,) = db.execute("SELECT body FROM message WHERE id = ?", (ROWS + 1,)).fetchone()
    before = bytes.fromhex(json.loads(opening)["before"])
    db.execute("UPDATE mark SET id = ?, digest = ? WHERE name = 'before'", (ROWS, before))
    db.commit()
    db.close()

    assert list(verify(copy)) == [Day("1970-01-03", False, 1, digest.hex())]


def test_the_command_prints_heads_and_says_what_they_are_worth(journal: Path) -> None:
    done = run(journal)

    assert done.returncode == 0, done.stderr
    *days, proves, not_proves = done.stdout.splitlines()
    assert [line.split()[1] for line in days] == [day.head for day in verify(journal)]
    assert proves.startswith("This proves that")
    assert not_proves.startswith("It does not prove that")


def test_the_command_tells_a_changed_journal_from_none_at_all(journal: Path) -> None:
    copy = changed(journal, ("UPDATE message SET seq = 99 WHERE id = 7", ()))
    thesis = journal.with_name("thesis.txt")
    thesis.write_text("ten years of work")
    codes = {path: run(path) for path in (copy, thesis, journal.with_name("nowhere"))}

    assert [done.returncode for done in codes.values()] == [9, 2, 2]
    assert f"{copy} was changed at row 7 (label/a/, sent at 1970-01-01T" in codes[copy].stderr
    assert not any("Traceback" in done.stderr for done in codes.values())
