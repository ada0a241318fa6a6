"""How ``rtclassify watch`` looks: a board, drawn for a width, a height and a moment."""

from __future__ import annotations

from datetime import datetime, timedelta

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rtclassify.cli.board import Board, Row
from rtclassify.cli.colours import colour_of

STALE_AFTER = timedelta(seconds=3)
WIDE = 110
ROOM_FOR_PERCENT = 14
LONG_MS = 9_999
QUIETEST_DBFS = -60.0
ALARMING = "bold white on #c03030"
GOOD = "#4fa35f"
FAINT = "#8b939c"
NOTHING = "–"
FRAME_LINES = 6
"""Lines of the screen that are not channels."""


def render(board: Board, now: datetime, *, width: int, height: int) -> RenderableType:
    """Draw what is known; the same board at the same moment always looks the same.

    Args:
        board: What is known.
        now: Its time zone is the one that times are shown in.
        width: Columns to draw in.
        height: Lines to draw in; channels that do not fit are counted instead.
    """
    if board.heard is None:
        return Text(f"waiting for {board.address} – is `rtclassify run` running?", style=FAINT)
    silent = now - board.heard
    stale = silent > STALE_AFTER
    rows = list(board.rows.values())
    fitting = rows[: max(1, height - FRAME_LINES)]
    parts: list[RenderableType] = [
        _header(board, silent, stale=stale),
        "",
        _table(board, fitting, now, width, stale=stale),
    ]
    notes = [*_absent(board), *_unjournalled(board), *_reasons(fitting)]
    parts += notes[: max(0, height - FRAME_LINES - len(fitting))]
    if len(fitting) < len(rows):
        more = f"and {len(rows) - len(fitting)} more: enlarge the terminal or use --channel"
        parts.append(Text(more, style=FAINT))
    return Group(*parts)


def _header(board: Board, silent: timedelta, *, stale: bool) -> Table:
    header = Table.grid(expand=True)
    header.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    header.add_column(justify="right", no_wrap=True)
    pulse = Text("● live", style=GOOD)
    if stale:
        pulse = Text(f" nothing heard for {_duration(silent)} ", style=ALARMING)
    header.add_row(Text(board.model or NOTHING, style="bold"), pulse)
    missed = Text(f"missed {board.missed}", style="yellow") if board.missed else Text("")
    header.add_row(Text(f"{board.address}, epoch {board.epoch}", style=FAINT), missed)
    return header


def _table(board: Board, rows: list[Row], now: datetime, width: int, *, stale: bool) -> Table:
    wide = width >= WIDE
    name = min(max([len("channel"), *(len(row.channel) for row in rows)]), 20 if wide else 10)
    level, gap = (15, 2) if wide else (6, 1)
    fixed = {"channel": name, "label": 15, "level": level, "since": 15, "latency": 7, "lost": 6}
    room = width - sum(fixed.values()) - gap * len(fixed)
    table = Table(
        box=box.SIMPLE_HEAD, padding=(0, gap - 1, 0, 0), pad_edge=False, show_edge=False,
        header_style=FAINT, border_style=FAINT, width=width,
    )  # fmt: skip
    widths = {"channel": name, "label": 15, "scores": room, **fixed}
    for title, columns in widths.items():
        table.add_column(
            _score_names(board.labels, room) if title == "scores" else title,
            justify="right" if title in ("level", "latency", "lost") else "left",
            width=columns, no_wrap=True, overflow="ellipsis",
        )  # fmt: skip
    for row in rows:
        table.add_row(
            row.channel,
            Text("stale", style=FAINT) if stale else _condition(row),
            _alarms(row) if row.alarms and not stale else _scores(row, board.labels, room),
            _level(row, wide=wide),
            _since(row.since, now),
            _latency(row.latency_ms),
            _lost(row.lost, board.rate),
            style="dim" if stale else "",
        )
    return table


def _condition(row: Row) -> Text:
    if row.shown in ("no-capture", "digital-silence"):
        return Text(row.shown, style=ALARMING)
    return Text(row.shown or NOTHING, style=f"bold {colour_of(row.shown or '')}")


def _alarms(row: Row) -> Text:
    """Say the alarms that are raised in the place of the scores, the newest first."""
    return Text(f" {'; '.join(reversed(row.alarms.values()))} ", style=ALARMING)


def _score_names(labels: tuple[str, ...], room: int) -> Text:
    each = _room_of_each(labels, room)
    return Text(" ".join(label[:each].ljust(each) for label in labels))


def _scores(row: Row, labels: tuple[str, ...], room: int) -> Text:
    each = _room_of_each(labels, room)
    return Text(" ").join(
        _score(row.probs[label], each, colour_of(label)) for label in labels if label in row.probs
    )


def _absent(board: Board) -> list[Text]:
    there = ", ".join(board.published)
    return [
        Text(f"there is no channel {channel}; there is {there}", style="yellow")
        for channel in board.channels
        if board.published and channel not in board.published
    ]


def _unjournalled(board: Board) -> list[Text]:
    if not board.journal or not (board.journal["trouble"] or board.journal["missing"]):
        return []
    how = board.journal["trouble"] or "it is written again"
    waiting, missing = board.journal["waiting"], board.journal["missing"]
    return [Text(f"journal: {how}; {waiting:,} messages wait, {missing:,} are missing from it",
                 style="yellow", no_wrap=True, overflow="ellipsis")]  # fmt: skip


def _reasons(rows: list[Row]) -> list[Text]:
    return [
        Text(f"{row.channel}: {row.reason}", style=FAINT, no_wrap=True, overflow="ellipsis")
        for row in rows
        if row.reason
    ]


def _room_of_each(labels: tuple[str, ...], room: int) -> int:
    return max(3, (room - len(labels) + 1) // max(1, len(labels)))


def _score(prob: float, room: int, colour: str) -> Text:
    """Draw a probability as a bar, with its percentage where there is room."""
    percent = f" {prob:4.0%} " if room >= ROOM_FOR_PERCENT else " "
    return _bar(prob, room - len(percent), colour) + Text(percent, style=FAINT)


def _bar(share: float, room: int, colour: str) -> Text:
    halves = round(share * room * 2)
    drawn = "━" * (halves // 2) + "╸" * (halves % 2)
    return Text.assemble((drawn, colour), ("─" * (room - len(drawn)), f"{FAINT} dim"))


def _level(row: Row, *, wide: bool) -> Text:
    if not row.probs and row.state == "no-capture":
        return Text("")
    if row.level_dbfs is None:
        return Text("-∞")
    number = Text(f"{row.level_dbfs:.1f}".rjust(6))
    if not wide:
        return number
    share = min(1.0, max(0.0, 1.0 - row.level_dbfs / QUIETEST_DBFS))
    return _bar(share, 8, GOOD) + Text(" ") + number


def _since(moment: datetime | None, now: datetime) -> Text:
    if moment is None:
        return Text(NOTHING, style=FAINT)
    clock = moment.astimezone(now.tzinfo).strftime("%H:%M:%S")
    return Text(clock) + Text(_duration(now - moment).rjust(7), style=FAINT)


def _duration(length: timedelta) -> str:
    seconds = max(0, int(length.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days}d{hours % 24:02}h"
    if hours:
        return f"{hours}h{minutes % 60:02}m"
    return f"{minutes}m{seconds % 60:02}s" if minutes else f"{seconds}s"


def _latency(latency_ms: float | None) -> str:
    if latency_ms is None:
        return ""
    long = latency_ms >= LONG_MS
    return _duration(timedelta(milliseconds=latency_ms)) if long else f"{latency_ms:.0f} ms"


def _lost(samples: int, rate: int) -> Text:
    if not samples or not rate:
        return Text(NOTHING, style=FAINT)
    lost = timedelta(seconds=samples / rate)
    short = lost < timedelta(minutes=1)
    return Text(f"{lost.total_seconds():.1f} s" if short else _duration(lost), style="yellow")
