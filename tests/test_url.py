"""Internet radio and network audio on loopback."""

from __future__ import annotations

import functools
import http.server
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from socket import SOCK_DGRAM

import numpy as np
import pytest
import soundfile
from rigs.hearing import Hearing, check_indices
from rigs.icecast import Radio, free_port

from rtclassify.config import ChannelSettings
from rtclassify.sources.live import ArrivalFit

TONE_HZ = 1000.0


@pytest.fixture
def programme(tmp_path: Path) -> Path:
    """Twenty seconds of a tone."""
    seconds = np.arange(20 * 44_100) / 44_100
    path = tmp_path / "programme.wav"
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * TONE_HZ * seconds), 44_100)
    return path


Send = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def send(programme: Path) -> Iterator[Send]:
    """Starts an ffmpeg that sends the programme in real time, for ever."""
    senders: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        command = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(programme)]
        sender = subprocess.Popen([*command, *arguments], stdin=subprocess.DEVNULL)
        senders.append(sender)
        return sender

    yield start
    for sender in senders:
        sender.kill()
        sender.wait()


def is_the_tone(heard: np.ndarray) -> bool:
    spectrum = np.abs(np.fft.rfft(heard[-16_000:]))
    return bool(spectrum.argmax() == TONE_HZ and 0.4 < np.abs(heard[-16_000:]).max() < 0.6)


@pytest.mark.rig
def test_internet_radio_of_every_codec_is_heard_at_once(radio: Radio, programme: Path) -> None:
    codecs = ("mp3", "opus", "vorbis", "flac", "aac")
    for codec in codecs:
        radio.feed(programme, codec, codec)
    with Hearing(*(ChannelSettings(codec, radio.url(codec)) for codec in codecs)) as hearing:
        hearing.until(lambda: min(map(hearing.heard_s, codecs)) > 1.5)
    for codec in codecs:
        assert is_the_tone(hearing.audio(codec)), codec
        check_indices(hearing.items, codec)


@pytest.mark.rig
def test_a_programme_that_stops_is_lost_and_comes_back(radio: Radio, programme: Path) -> None:
    """Another station goes on meanwhile."""
    feeder = radio.feed(programme, "live", "mp3")
    radio.feed(programme, "other", "opus")
    air = ChannelSettings("air", radio.url("live"))
    other = ChannelSettings("other", radio.url("other"))
    with Hearing(air, other) as hearing:
        hearing.until(lambda: min(map(hearing.heard_s, ("air", "other"))) > 1.0)
        feeder.kill()
        hearing.until(lambda: bool(hearing.losses("air")))
        lost_s = hearing.clock.now()
        radio.feed(programme, "live", "mp3")
        seen = len(hearing.items)
        hearing.until(lambda: hearing.heard_s("air", seen) > 1.0)

    (gap,) = hearing.gaps("air")
    back = hearing.blocks("air", seen)[0]
    assert back.line is not None
    # A server's burst and a player's buffer make the edges of a pause vague by seconds.
    assert abs((gap.end - gap.start) / 16_000 - (back.line.at(back.start) - lost_s)) < 8.0
    assert len(hearing.losses("air")) == 1
    assert not hearing.losses("other")
    assert not hearing.gaps("other")
    check_indices(hearing.items, "air")


@pytest.mark.rig
def test_ten_stations_of_a_server_that_dies_all_come_back(radio: Radio, programme: Path) -> None:
    """Each has a decoder thread of its own, and a gap of its own."""
    names = [f"s{number}" for number in range(10)]
    radio.feed(programme, "live", "mp3")
    stations = (ChannelSettings(name, f"{radio.url('live')}?{name}") for name in names)
    with Hearing(*stations) as hearing:
        hearing.until(lambda: min(map(hearing.heard_s, names)) > 1.0)
        assert len(hearing.sources) == len(names)
        radio.kill()
        hearing.until(lambda: all(map(hearing.losses, names)))
        seen = len(hearing.items)
        radio.start()
        radio.feed(programme, "live", "mp3")
        hearing.until(lambda: min(hearing.heard_s(name, seen) for name in names) > 1.0)

    for name in names:
        assert len(hearing.losses(name)) == len(hearing.gaps(name)) == 1
        check_indices(hearing.items, name)


@pytest.mark.rig
def test_a_programme_that_is_not_there_says_why_and_is_awaited(
    radio: Radio, programme: Path
) -> None:
    with Hearing(ChannelSettings("air", radio.url("nothing"))) as hearing:
        hearing.until(lambda: bool(hearing.losses("air")))
        radio.feed(programme, "nothing", "mp3")
        hearing.until(lambda: hearing.heard_s("air") > 0.5)
    assert "not found" in hearing.losses("air")[0].reason
    assert hearing.blocks("air")[0].start == 0
    assert not hearing.gaps("air")


@pytest.mark.rig
def test_rtp_is_heard_through_its_sdp_file(
    tmp_path: Path, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtclassify.sources.url.READ_S", 2.0)
    sdp = tmp_path / "live.sdp"
    address = f"rtp://127.0.0.1:{free_port(SOCK_DGRAM) & ~1}"
    sender = send("-c:a", "pcm_s16be", "-ar", "44100", "-ac", "1", "-f", "rtp", "-sdp_file",
                  str(sdp), address)  # fmt: skip
    with Hearing(ChannelSettings("air", str(sdp))) as hearing:
        hearing.until(lambda: hearing.heard_s("air") > 1.5)
        assert is_the_tone(hearing.audio("air"))
        sender.kill()
        seen = len(hearing.items)
        hearing.until(lambda: bool(hearing.losses("air", seen)))
    assert "did not answer in time" in hearing.losses("air", seen)[0].reason
    check_indices(hearing.items, "air")


@pytest.mark.rig
def test_mpeg_over_udp_is_heard(send: Send) -> None:
    port = free_port(SOCK_DGRAM)
    send("-c:a", "aac", "-b:a", "128k", "-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316")
    with Hearing(ChannelSettings("air", f"udp://127.0.0.1:{port}")) as hearing:
        hearing.until(lambda: hearing.heard_s("air") > 1.5)
    assert is_the_tone(hearing.audio("air"))


@pytest.mark.rig
def test_hls_is_heard(tmp_path: Path, send: Send) -> None:
    folder = tmp_path / "hls"
    folder.mkdir()
    send("-c:a", "aac", "-b:a", "128k", "-f", "hls", "-hls_time", "1", "-hls_list_size", "4",
         str(folder / "live.m3u8"))  # fmt: skip

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/live.m3u8"
        with Hearing(ChannelSettings("air", url)) as hearing:
            hearing.until(lambda: hearing.heard_s("air") > 2.0)
        server.shutdown()
    assert is_the_tone(hearing.audio("air"))
    check_indices(hearing.items, "air")


def test_a_burst_at_the_start_does_not_shift_the_times() -> None:
    """Four seconds arrive at once, then audio in real time, each packet up to 0.3 s late."""
    fit = ArrivalFit(1000, error_s=0.5)
    for sample in range(0, 4000, 100):
        fit.mark(sample, 50.0)
    random = np.random.default_rng(3)
    for sample in range(4000, 60_000, 100):
        fit.mark(sample, 50.0 + (sample - 4000) / 1000 + random.uniform(0.0, 0.3))
    line = fit.line
    assert line is not None
    assert abs(line.at(30_000) - 76.0) < 0.05


def test_a_server_whose_clock_runs_slow_is_followed() -> None:
    fit = ArrivalFit(1000, error_s=0.5)
    for second in range(4000):
        fit.mark(second * 1000, second * 1.0001)
    line = fit.line
    assert line is not None
    assert abs(line.at(3_999_000) - 3999 * 1.0001) < 0.05
