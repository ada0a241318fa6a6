"""How late labels are while everybody around the daemon misbehaves, and what is left of it.

Starts ``rtclassify run`` on the demo programme with keys, a journal, replay, status over HTTP, a
webhook that takes each alarm and never answers, and a real mosquitto. It is left in peace for a
while, and then besieged as `siege` says: by unfinished HTTP requests, strangers with the wrong
keys, a flood of bad requests, a stalled broker and a full disk, all at once. A label is late by
how much its own ``latency_ms`` is above the median in peace of those of its kind, provisional
or final.

Ends with an error if a label is missing on the stream, or if within a minute after the siege the
journal is not written again, with every label in it, or the broker gets no messages.

    python benchmarks/hostile.py [--seconds 30] [--model NAME] [--runtime litert]
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from rigs.icecast import free_port  # noqa: E402 - the tests' rigs
from rigs.mosquitto import Broker  # noqa: E402
from siege import DeafHook, Siege  # noqa: E402

from rtclassify.keys import client_keys, new_pair  # noqa: E402
from rtclassify.sinks.message import Message  # noqa: E402
from rtclassify.sinks.proof import verify  # noqa: E402
from rtclassify.sinks.reading import open_for_reading  # noqa: E402
from rtclassify.sinks.zmq import Subscription  # noqa: E402

LATE_MS = 250.0
ROUTINE = 50
"""Messages that wait for the disk from one commit to the next are fewer."""

PATIENCE_S = 60.0
LABELS = "label/main/"


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=30.0)
    options.add_argument("--model", default=str(ROOT / "models/speech-music"))
    options.add_argument("--runtime", default="tensorflow")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name, DeafHook() as hook:
        folder = Path(name)
        broker = Broker(folder)
        broker.start()
        try:
            labelling = f'model = "{chosen.model}"\nruntime = "{chosen.runtime}"\n'
            measure(folder, broker, hook, labelling=labelling, seconds=chosen.seconds)
        finally:
            broker.go_on()
            broker.stop()


def measure(
    folder: Path, broker: Broker, hook: DeafHook, *, labelling: str, seconds: float
) -> None:
    """Run the daemon in peace, besieged, and in peace again; print what became of its labels."""
    stream, replay, status = (free_port() for _ in range(3))
    settle(folder, labelling, ports=(stream, replay, status), broker=broker.port, hook=hook.port)
    daemon = subprocess.Popen([sys.executable, "-m", "rtclassify", "run"], cwd=folder)
    siege = Siege(folder, daemon.pid, stream, replay, status, broker)
    try:
        with Ear(folder, stream) as ear:
            await_(lambda: any(m.body["final"] for m in ear.labels()), "a final label")
            await_(lambda: hook.taken, "an alarm")
            peace = ear.hear(seconds)
            with siege.laid():
                war = ear.hear(seconds)
            trouble = ear.beat()["journal"]["trouble"]
            await_(lambda: not ear.beat()["journal"]["trouble"], "the journal")
            with broker.listener("rtclassify/heartbeat") as listener:
                listener.next()  # what it kept
                listener.next()
            await_(lambda: ear.beat()["journal"]["waiting"] < ROUTINE, "what waited")
    finally:
        daemon.terminate()
        daemon.wait(20)
    done = ", ".join(f"{count} {what}" for what, count in siege.done.items())
    print(f"{done}; {len(hook.taken)} posts that the webhook keeps; the disk: {trouble}")
    if not trouble:
        raise SystemExit("the disk was not full")
    report(peace, war)
    account(folder / "journal", ear.labels())


def settle(
    folder: Path, labelling: str, *, ports: tuple[int, int, int], broker: int, hook: int
) -> None:
    """Write keys and settings."""
    clients = folder / "clients"
    clients.mkdir()
    for name in ("server", "anna", "boris"):
        new_pair(folder, name)
    shutil.copy(folder / "anna.key", clients)
    stream, replay, status = ports
    (folder / "rtclassify.toml").write_text(
        f'{labelling}publish = "tcp://127.0.0.1:{stream}"\nstatus = "127.0.0.1:{status}"\n'
        f'replay = "tcp://127.0.0.1:{replay}"\nsinks = ["mqtt://127.0.0.1:{broker}"]\n'
        '[journal]\npath = "journal"\n'
        '[security]\nserver_key = "server.key_secret"\nclients = "clients"\n'
        f'[alarms]\nwebhook = "http://127.0.0.1:{hook}/"\nno-capture = {{ trigger_s = 1.0 }}\n'
        '[[channel]]\nname = "main"\nsource = "demo"\n'
        '[[channel]]\nname = "dead"\nsource = "http://127.0.0.1:9/nobody-serves-here.mp3"\n'
    )


class Ear:
    """Subscribes, as one who is let in, on a thread of its own; opened by ``with``."""

    def __init__(self, folder: Path, port: int) -> None:
        self._address = f"tcp://127.0.0.1:{port}"
        self._keys = client_keys(folder / "anna.key_secret", folder / "server.key")
        self._heard: list[Message] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._over.set()
        self._thread.join()

    def _listen(self) -> None:
        with Subscription(self._address, [LABELS, "heartbeat/"], self._keys) as subscription:
            while not self._over.is_set():
                message = subscription.receive(0.1)
                if message is not None:
                    self._heard.append(message)

    def labels(self) -> Sequence[Message]:
        """Return the labels heard so far."""
        return [message for message in self._heard if message.topic == LABELS]

    def beat(self) -> dict[str, Any]:
        """Return the last heartbeat."""
        return dict(next(m.body for m in reversed(self._heard) if m.kind == "heartbeat"))

    def hear(self, seconds: float) -> Sequence[Message]:
        """Return the labels of the next `seconds`."""
        before = len(self.labels())
        time.sleep(seconds)
        return self.labels()[before:]


def await_(claim: Callable[[], Any], what: str) -> None:
    """Wait until a claim holds.

    Raises:
        SystemExit: If it does not in time.
    """
    limit = time.monotonic() + PATIENCE_S
    while not claim():
        if time.monotonic() > limit:
            raise SystemExit(f"{what} did not come within {PATIENCE_S:.0f} s")
        time.sleep(0.1)


def report(peace: Sequence[Message], war: Sequence[Message]) -> None:
    """Print how late labels were."""
    for final in (False, True):
        calm, besieged = (
            np.array([m.body["latency_ms"] for m in labels if m.body["final"] == final])
            for labels in (peace, war)
        )
        usual_ms = float(np.median(calm))
        print(f"{'final' if final else 'provisional'} labels, median in peace {usual_ms:.0f} ms:")
        for when, latencies_ms in (("in peace", calm), ("besieged", besieged)):
            late_ms = latencies_ms - usual_ms
            print(f"  {when}: {len(late_ms)}, late by {np.median(late_ms):.0f} ms in the median, "
                  f"{late_ms.max():.0f} ms at most, {np.sum(late_ms > LATE_MS)} by more than "
                  f"{LATE_MS:.0f} ms")  # fmt: skip


def account(journal: Path, heard: Sequence[Message]) -> None:
    """Fail unless every label came, and is in the journal."""
    first = heard[0].body["seq"]
    missing = len(heard) - (heard[-1].body["seq"] + 1 - first)
    db = open_for_reading(journal)
    rows = db.execute("SELECT seq FROM message WHERE topic = ? ORDER BY seq", (LABELS,))
    kept = [seq for (seq,) in rows]
    db.close()
    list(verify(journal))
    if missing or kept != list(range(len(kept))) or len(kept) <= heard[-1].body["seq"]:
        raise SystemExit(f"labels are missing: {-missing} on the stream; {kept} in the journal")
    print(f"every label came, and all {len(kept)} are in the journal, which verifies")


if __name__ == "__main__":
    main()
