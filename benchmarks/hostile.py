"""How late labels are while everybody around the daemon misbehaves.

Starts ``rtclassify run`` on the demo programme with keys, status over HTTP and a real mosquitto,
measures its provisional labels in peace, and again while the broker is stalled, a thousand HTTP
clients at a time never finish, another asks for metrics without a pause, and sixty strangers try
their keys again and again. Latency is the daemon's own ``latency_ms``.

    python benchmarks/hostile.py [--seconds 30] [--model NAME]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import zmq

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from rigs.icecast import free_port  # noqa: E402 - the tests' rigs
from rigs.mosquitto import Broker  # noqa: E402

from rtclassify.curve import identify  # noqa: E402
from rtclassify.keys import client_keys, new_pair  # noqa: E402

CROWD = 1000
STRANGERS = 60


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30.0)
    options.add_argument("--model", default=str(ROOT / "models/speech-music"))
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Broker(folder)
        broker.start()
        try:
            measure(folder, broker, chosen.model, chosen.seconds)
        finally:
            broker.go_on()
            broker.stop()


def measure(folder: Path, broker: Broker, model: str, seconds: float) -> None:
    """Run the daemon, in peace and besieged, and print how late its labels were."""
    stream, status = free_port(), free_port()
    labels = folder / "labels.jsonl"
    settle(folder, model=model, labels=labels, broker=broker.port, stream=stream, status=status)
    daemon = subprocess.Popen([sys.executable, "-m", "rtclassify", "run"], cwd=folder)
    try:
        while not labels.exists() or b'"label/' not in labels.read_bytes():
            time.sleep(0.1)
        time.sleep(2.0)
        report("in peace", latencies(labels, seconds))
        broker.stall()
        with besieged(folder, stream, status):
            report("besieged", latencies(labels, seconds))
    finally:
        daemon.terminate()
        daemon.wait(20)


def settle(
    folder: Path, *, model: str, labels: Path, broker: int, stream: int, status: int
) -> None:
    """Write keys and settings."""
    clients = folder / "clients"
    clients.mkdir()
    for name in ("server", "anna", "boris"):
        new_pair(folder, name)
    shutil.copy(folder / "anna.key", clients)
    (folder / "rtclassify.toml").write_text(
        f'model = "{model}"\npublish = "tcp://127.0.0.1:{stream}"\nstatus = "127.0.0.1:{status}"\n'
        f'sinks = ["jsonl:{labels}", "mqtt://127.0.0.1:{broker}"]\n'
        '[security]\nserver_key = "server.key_secret"\nclients = "clients"\n'
        '[[channel]]\nname = "main"\nsource = "demo"\n'
    )


def latencies(labels: Path, seconds: float) -> Sequence[float]:
    """Return the latencies of the provisional labels of the next `seconds`, in ms."""
    with labels.open() as lines:
        lines.seek(0, 2)
        time.sleep(seconds)
        messages = [json.loads(line) for line in lines]
    return [m["latency_ms"] for m in messages if m["topic"] == "label/main/" and not m["final"]]


def report(when: str, late_ms: Sequence[float]) -> None:
    """Print the spread."""
    median, most = np.percentile(late_ms, 50), max(late_ms)
    print(f"{when}: {len(late_ms)} labels, median {median:.0f} ms, at most {most:.0f} ms")


@contextlib.contextmanager
def besieged(folder: Path, stream: int, status: int) -> Iterator[None]:
    """Misbehave towards a daemon on threads of this process."""
    over = threading.Event()
    attacks = [
        threading.Thread(target=crowd, args=(status, over)),
        threading.Thread(target=ask, args=(status, over)),
        threading.Thread(target=knock, args=(folder, stream, over)),
    ]
    for attack in attacks:
        attack.start()
    yield
    over.set()
    for attack in attacks:
        attack.join()


def crowd(port: int, over: threading.Event) -> None:
    """Connect a thousand clients that say half a request, or no HTTP at all, again and again."""
    while not over.is_set():
        with contextlib.ExitStack() as clients:
            for number in range(CROWD):
                client = clients.enter_context(socket.socket())
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
                with contextlib.suppress(OSError):
                    client.send(b"GET /met" if number % 2 else bytes(range(256)))
            over.wait(1.0)


def ask(port: int, over: threading.Event) -> None:
    """Ask for metrics without a pause."""
    while not over.is_set():
        with contextlib.suppress(OSError):
            url = f"http://127.0.0.1:{port}/metrics"
            urllib.request.urlopen(url, timeout=1.0).read()


def knock(folder: Path, port: int, over: threading.Event) -> None:
    """Try to subscribe, some with a key that is not allowed, some without."""
    boris = client_keys(folder / "boris.key_secret", folder / "server.key")
    while not over.is_set():
        with zmq.Context() as context, contextlib.ExitStack() as strangers:
            for number in range(STRANGERS):
                stranger = strangers.enter_context(context.socket(zmq.SUB))
                stranger.linger, stranger.reconnect_ivl = 0, 10
                if number % 2:
                    identify(stranger, boris)
                stranger.connect(f"tcp://127.0.0.1:{port}")
            over.wait(0.5)


if __name__ == "__main__":
    main()
