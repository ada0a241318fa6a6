"""A virtual sound card: a private PulseAudio with null sinks, seen through ALSA's `pulse` PCM.

`pulse` is a running server with two cards: ``rtc_air`` (mono) and ``rtc_quad`` (four channels),
both at 48 kHz; what is played to a sink is what the card hears. `second_pulse` is another server
with the card ``rtc_second``. While a test runs, ALSA_CONFIG_PATH names the cards, for this process
and for its children.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 48_000
QUAD_MAP = "front-left,front-right,rear-left,rear-right"
SINKS = {
    "air": f"sink_name=air rate={RATE} channels=1 channel_map=mono format=s16le",
    "quad": f"sink_name=quad rate={RATE} channels=4 channel_map={QUAD_MAP} format=s16le",
    "second": f"sink_name=second rate={RATE} channels=1 channel_map=mono format=s16le",
}


def missing() -> str | None:
    """Say what this machine lacks for the rig, or None."""
    for program in ("pulseaudio", "pacat", "pactl"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if ctypes.util.find_library("portaudio") is None:
        return "libportaudio2 is not installed"
    if not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
        return "libasound2-plugins is not installed"
    return None


def add_card(config: Path, name: str, server: Path, sink: str) -> None:
    """Make what is played to a sink of the server in a folder a card called `name`."""
    with config.open("a") as file:
        where = f'server "unix:{server / "native"}" device "{sink}.monitor"'
        file.write(f"pcm.{name} {{ type pulse {where} }}\n")


class SoundServer:
    """One private PulseAudio.

    Args:
        folder: Becomes its home; holds the socket ``native``.
        sinks: Keys of `SINKS`, loaded at each start.
    """

    def __init__(self, folder: Path, sinks: tuple[str, ...]) -> None:
        self._folder = folder
        self._sinks = sinks
        self._server: subprocess.Popen[bytes] | None = None
        self._players: list[subprocess.Popen[bytes]] = []
        folder.mkdir(mode=0o700)

    @property
    def address(self) -> str:
        """The server's address."""
        return f"unix:{self._folder / 'native'}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        places = ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_STATE_PATH")
        command = [
            "pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1",
            "--realtime=no", "--high-priority=no", "--disable-shm=yes", "--log-target=stderr",
            "-L", f"module-native-protocol-unix socket={self._folder / 'native'} auth-anonymous=1",
        ]  # fmt: skip
        for sink in self._sinks:
            command += ["-L", f"module-null-sink {SINKS[sink]}"]
        log = (self._folder / "log").open("ab")
        self._server = subprocess.Popen(
            command, env={**os.environ, **dict.fromkeys(places, str(self._folder))}, stderr=log
        )
        log.close()
        limit = time.monotonic() + 10.0
        while self.control("info", check=False).returncode:
            assert time.monotonic() < limit, (self._folder / "log").read_text()
            time.sleep(0.02)

    def signal(self, number: signal.Signals) -> None:
        """Send the server a signal; wait for its end where that is what it does."""
        assert self._server is not None
        self._server.send_signal(number)
        if number in (signal.SIGTERM, signal.SIGKILL):
            self._server.wait(5)

    def stop(self) -> None:
        """End the server and all players."""
        for player in self._players:
            player.kill()
            player.wait()
        if self._server is not None:
            self._server.send_signal(signal.SIGCONT)
            self._server.kill()
            self._server.wait()

    def control(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run pactl."""
        return subprocess.run(
            ["pactl", "-s", self.address, *words],
            check=check, capture_output=True, text=True, timeout=10,
        )  # fmt: skip

    def plug(self, sink: str) -> None:
        """Load a sink that was unplugged."""
        self.control("load-module", "module-null-sink", *SINKS[sink].split())

    def unplug(self, sink: str) -> None:
        """Unload a sink: its card is gone."""
        modules = self.control("list", "short", "modules").stdout.splitlines()
        number = next(line.split()[0] for line in modules if f"sink_name={sink} " in line)
        self.control("unload-module", number)

    def play(
        self, samples: NDArray[np.int16], sink: str, rate: int = RATE
    ) -> subprocess.Popen[bytes]:
        """Play int16 samples, shape (n,) or (n, channels), to a sink; return the player."""
        raw = self._folder / f"play-{len(self._players)}.raw"
        raw.write_bytes(samples.tobytes())
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        command = [
            "pacat", "-s", self.address, "--playback", f"--device={sink}", "--raw",
            "--format=s16le", f"--rate={rate}", f"--channels={channels}",
        ]  # fmt: skip
        if channels == 4:
            command.append(f"--channel-map={QUAD_MAP}")
        player = subprocess.Popen([*command, str(raw)])
        self._players.append(player)
        return player


@pytest.fixture
def sound_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose asound.conf names the cards of both servers, and ALSA_CONFIG_PATH it."""
    if reason := missing():
        pytest.skip(f"no virtual sound card: {reason}")
    folder = tmp_path / "sound"
    folder.mkdir()
    config = folder / "asound.conf"
    # Without the include PortAudio aborts the process.
    config.write_text("</usr/share/alsa/alsa.conf>\n")
    for card, server, sink in (
        ("air", "a", "air"),
        ("quad", "a", "quad"),
        ("second", "b", "second"),
    ):
        add_card(config, f"rtc_{card}", folder / server, sink)
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(config))
    return folder


@pytest.fixture
def pulse(sound_folder: Path) -> Iterator[SoundServer]:
    """A running server with the cards ``rtc_air`` and ``rtc_quad``."""
    server = SoundServer(sound_folder / "a", ("air", "quad"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def second_pulse(sound_folder: Path) -> Iterator[SoundServer]:
    """Another running server, with the card ``rtc_second``."""
    server = SoundServer(sound_folder / "b", ("second",))
    server.start()
    yield server
    server.stop()
