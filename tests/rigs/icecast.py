"""Internet radio on loopback: a private Icecast, fed by ffmpeg."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

PASSWORD = "for-this-test-only"  # noqa: S105 (a server on loopback that lives for seconds)
ENCODERS = {
    "mp3": ("libmp3lame", "mp3", "audio/mpeg"),
    "opus": ("libopus", "ogg", "application/ogg"),
    "vorbis": ("libvorbis", "ogg", "application/ogg"),
    "flac": ("flac", "ogg", "application/ogg"),
    "aac": ("aac", "adts", "audio/aac"),
}
CONFIG = """
<icecast>
  <limits><clients>300</clients><sources>5</sources></limits>
  <authentication>
    <source-password>{password}</source-password>
    <admin-user>admin</admin-user><admin-password>{password}</admin-password>
  </authentication>
  <hostname>127.0.0.1</hostname>
  <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <fileserve>0</fileserve>
  <paths>
    <basedir>{folder}</basedir><logdir>{folder}</logdir>
    <webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot>
  </paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog></logging>
</icecast>
"""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port of 127.0.0.1 that nobody uses now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Radio:
    """An Icecast server and the programmes that are fed to it.

    Args:
        folder: For its configuration and logs.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._server: subprocess.Popen[bytes] | None = None
        self._feeders: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start the server and wait until it answers."""
        config = self._folder / "icecast.xml"
        config.write_text(CONFIG.format(password=PASSWORD, port=self._port, folder=self._folder))
        # Icecast does not run as root.
        user = "nobody" if os.geteuid() == 0 else None
        if user:
            os.chown(self._folder, pwd.getpwnam(user).pw_uid, -1)
        self._server = subprocess.Popen(
            [shutil.which("icecast2") or "icecast", "-c", str(config)],
            user=user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        limit = time.monotonic() + 10.0
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            assert time.monotonic() < limit, "Icecast did not start"
            time.sleep(0.05)

    def url(self, mount: str) -> str:
        """Return the address of a programme."""
        return f"http://127.0.0.1:{self._port}/{mount}"

    def feed(self, programme: Path, mount: str, codec: str) -> subprocess.Popen[bytes]:
        """Send a recording in real time, for ever, and wait until it is on air."""
        encoder, container, kind = ENCODERS[codec]
        address = f"icecast://source:{PASSWORD}@127.0.0.1:{self._port}/{mount}"
        feeder = subprocess.Popen(
            [
                "ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(programme),
                "-c:a", encoder, "-b:a", "128k", "-content_type", kind, "-f", container, address,
            ],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self._feeders.append(feeder)
        limit = time.monotonic() + 10.0
        status = self.url("status-json.xsl")
        while f"/{mount}" not in urllib.request.urlopen(status).read().decode():  # noqa: S310
            assert time.monotonic() < limit, "the programme did not get on air"
            time.sleep(0.1)
        return feeder

    def kill(self) -> None:
        """End the server at once; its feeders end with it."""
        self.stop()
        self._server = None
        self._feeders.clear()

    def stop(self) -> None:
        """End the server and all feeders."""
        for process in [*self._feeders, self._server]:
            if process is not None:
                process.kill()
                process.wait()


@pytest.fixture
def radio() -> Iterator[Radio]:
    """A running Icecast."""
    for program in ("icecast2", "ffmpeg"):
        if shutil.which(program) is None:
            pytest.skip(f"no Icecast: {program} is not installed")
    # Under /tmp itself: pytest's folders are closed to other users.
    folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    folder.chmod(0o755)
    server = Radio(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)
