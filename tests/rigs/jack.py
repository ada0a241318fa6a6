"""A virtual interface of 64 inputs: a private JACK server and a programme of 64 channels on it.

`jack` plays noise, another on each channel, and is the card ``soundcard:PortAudio`` of processes
that are started while the test runs. This process stays away from JACK: PortAudio hangs in it once
its server is gone.

Run as a program, this file is the player.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

RATE = 48_000
PERIOD = 1024
CHANNELS = 64
CARD = "soundcard:PortAudio"
"""JACK's programs are PortAudio's cards, and a player of PortAudio's is called that."""


def missing() -> str | None:
    """Say what this machine lacks for the rig, or None."""
    for program in ("jackd", "jack_lsp"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if ctypes.util.find_library("portaudio") is None:
        return "libportaudio2 is not installed"
    return None


class JackServer:
    """A private JACK server with a dummy interface, and a player.

    Args:
        folder: For the log and the programme.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self.environment = {
            "JACK_DEFAULT_SERVER": f"rtc-{os.getpid()}",
            "JACK_NO_START_SERVER": "1",
            "JACK_NO_AUDIO_RESERVATION": "1",
        }

    def start(self, programme: NDArray[np.int16]) -> None:
        """Start both; the programme, shape (n, channels), is repeated for ever."""
        file = self._folder / "programme.npy"
        np.save(file, programme)
        server = ["jackd", "--no-realtime", "-n", self.environment["JACK_DEFAULT_SERVER"]]
        server += ["-p", "1024", "-d", "dummy", "-r", str(RATE), "-p", str(PERIOD)]
        self._run([*server, "-C", "2", "-P", str(CHANNELS)])
        self._await("system:playback_1")
        self._run([sys.executable, __file__, str(file)])
        self._await("PortAudio:out_0")

    def stop(self) -> None:
        """End both; a server that is killed keeps its place among the eight that may run."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.wait(20)

    def _run(self, command: list[str]) -> None:
        with (self._folder / "log").open("ab") as log:
            environment = {**os.environ, **self.environment}
            self._running.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))

    def _await(self, port: str) -> None:
        limit = time.monotonic() + 15.0
        environment = {**os.environ, **self.environment}
        while True:
            listed = subprocess.run(
                ["jack_lsp"], env=environment, capture_output=True, text=True, check=False
            )
            if port in listed.stdout.split():
                return
            assert time.monotonic() < limit, (self._folder / "log").read_text()
            time.sleep(0.05)


@pytest.fixture
def jack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NDArray[np.int16]]:
    """What is played, two seconds of 64 channels; the environment names the server."""
    if reason := missing():
        pytest.skip(f"no virtual interface: {reason}")
    random = np.random.default_rng(7)
    programme = random.integers(1, 20_000, (2 * RATE, CHANNELS), dtype=np.int16)
    server = JackServer(tmp_path)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    try:
        server.start(programme)
        yield programme
    finally:
        server.stop()


def _play(programme: NDArray[np.int16]) -> None:
    import sounddevice

    position = 0

    def fill(frames: NDArray[np.float32], count: int, _times: object, _flags: object) -> None:
        nonlocal position
        frames[:] = programme.take(range(position, position + count), axis=0, mode="wrap") / 32768
        position += count

    names = [device["name"] for device in sounddevice.query_devices()]
    with sounddevice.OutputStream(
        device=names.index("system"), channels=programme.shape[1], samplerate=RATE,
        blocksize=PERIOD, callback=fill,
    ):  # fmt: skip
        time.sleep(3600)


if __name__ == "__main__":
    _play(np.load(sys.argv[1]))
