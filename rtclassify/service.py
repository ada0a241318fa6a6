"""The daemon's manners: it obeys signals and tells the service manager how it is.

Both stand around the one loop of `rtclassify.loop.run`. Everything is handed in and nothing
is built here; docs/service.md says what an operator sees of it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping
from types import FrameType
from typing import Self

from rtclassify.clock import Clock
from rtclassify.config import Settings
from rtclassify.errors import RtclassifyError

log = logging.getLogger(__name__)

FEEDS_PER_WATCHDOG = 4
"""sd_watchdog_enabled(3) asks for two; a busy turn may then be late without being killed."""


class Notifier:
    """Tell the service manager how things are, as sd_notify(3) does; mute where there is none.

    Args:
        address: The manager's datagram socket, ``@`` first if abstract; None without a manager.
        watchdog_s: How long the manager waits for a sign of life; None if it does not.
    """

    def __init__(self, address: str | None, *, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s
        self._address = address.replace("@", "\0", 1) if address else None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Make the notifier that systemd's variables ask for."""
        watched = environ.get("WATCHDOG_PID") in (None, str(os.getpid()))
        usec = int(environ.get("WATCHDOG_USEC", "0")) if watched else 0
        return cls(environ.get("NOTIFY_SOCKET"), watchdog_s=usec / 1e6 or None)

    def tell(self, **assignments: str | int) -> None:
        """Send assignments such as ``READY=1``; a manager that does not listen is no error."""
        if self._address is None:
            return
        message = "\n".join(f"{key}={value}" for key, value in assignments.items())
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK
        with socket.socket(socket.AF_UNIX, kind) as manager, contextlib.suppress(OSError):
            manager.sendto(message.encode(), self._address)


class Service:
    """Obey signals and keep the watchdog fed, turn by turn.

    SIGTERM and SIGINT end the loop; a second SIGINT interrupts whatever hangs. SIGHUP reads the
    settings again: good ones end the loop and wait in `reloaded`, bad ones are logged and the
    loop goes on. Owned by the main thread, which Python delivers signals to.

    Args:
        notifier: Hears about every step.
        clock: Paces the watchdog.
        reread: Reads the settings again.
        terminal: Whether SIGHUP tells that the terminal was closed, and ends the loop.
    """

    def __init__(
        self,
        notifier: Notifier,
        clock: Clock,
        *,
        reread: Callable[[], Settings],
        terminal: bool,
    ) -> None:
        self._notifier = notifier
        self._clock = clock
        self._reread = reread
        self._terminal = terminal
        self._reloaded: Settings | None = None
        self._hung_up = False
        self._stopped_by: signal.Signals | None = None
        self._feed_at = clock.now()

    def __enter__(self) -> Self:
        """Take over SIGTERM, SIGINT and SIGHUP."""
        self._before = {
            number: signal.signal(number, handler)
            for number, handler in (
                (signal.SIGTERM, self._on_stop),
                (signal.SIGINT, self._on_stop),
                (signal.SIGHUP, self._on_stop if self._terminal else self._on_hangup),
            )
        }
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def ready(self) -> None:
        """Say that labels are being published from now on."""
        self._notifier.tell(READY=1)

    def show(self, status: str) -> None:
        """Give the service manager a line about what is going on."""
        self._notifier.tell(STATUS=status)

    def turn(self) -> bool:
        """Feed the watchdog when it is due; say whether the loop goes on."""
        if self._stopped_by is not None:
            log.info("stopping on %s", self._stopped_by.name)
            self._notifier.tell(STOPPING=1, STATUS="stopping")
            return False
        if self._hung_up:
            self._hung_up = False
            self._reload()
        watchdog_s = self._notifier.watchdog_s
        if watchdog_s is not None and self._clock.now() >= self._feed_at:
            self._notifier.tell(WATCHDOG=1)
            self._feed_at = self._clock.now() + watchdog_s / FEEDS_PER_WATCHDOG
        return self._reloaded is None

    def reloaded(self) -> Settings | None:
        """Return, once, the settings that a SIGHUP brought; None when the service is to end."""
        settings, self._reloaded = self._reloaded, None
        return settings if self._stopped_by is None else None

    def _reload(self) -> None:
        self._notifier.tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)
        try:
            self._reloaded = self._reread()
        except RtclassifyError as error:
            log.error("not reloaded, the old settings stay: %s", error)  # noqa: TRY400 - a sentence
            self.ready()
        else:
            log.info("reloading")

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        self._stopped_by = signal.Signals(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def _on_hangup(self, _number: int, _frame: FrameType | None) -> None:
        self._hung_up = True
