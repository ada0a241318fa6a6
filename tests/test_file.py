"""Recordings, good and bad."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from av.audio.stream import AudioStream
from av.packet import Packet

from rtclassify.errors import SourceError
from rtclassify.ring import Wakeup
from rtclassify.sources import Request, Tap
from rtclassify.sources.decoder import Decoder
from rtclassify.sources.file import READ_S, FileSource
from rtclassify.stream import AudioBlock, Gap, Item, Samples
from rtclassify.testing import ManualClock

RATE = 16_000
NOBODY = 65_534


def sound(seconds: float = 3.0, rate: int = RATE) -> Samples:
    random = np.random.default_rng(2)
    return (0.1 * random.standard_normal(round(seconds * rate))).astype(np.float32)


def source(
    path: Path | str, *, inputs: tuple[int, ...] = (), live: bool = False, rate: int = RATE
) -> FileSource:
    taps = (Tap("a", inputs),)
    return FileSource(Request(str(path), taps, rate, ManualClock(), Wakeup(), live))


def read_all(recording: FileSource) -> list[Item]:
    items: list[Item] = []
    with recording:
        while not recording.ended:
            items += recording.read()
    return items


def audio(items: list[Item]) -> Samples:
    return np.concatenate([item.samples for item in items if isinstance(item, AudioBlock)])


def end_of(items: list[Item]) -> int:
    last = items[-1]
    assert isinstance(last, AudioBlock | Gap)
    return last.end


def encoded(folder: Path, name: str, *options: str) -> Path:
    """Return ten seconds of noise, encoded by ffmpeg."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no encoders: ffmpeg is not installed")
    plain = folder / "plain.wav"
    soundfile.write(plain, sound(10.0), RATE)
    path = folder / name
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(plain), *options, str(path)], check=True)
    return path


@pytest.mark.parametrize("breaks_off", [False, True])
def test_packets_that_are_gathered_hold_all_that_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, breaks_off: bool
) -> None:
    path = str(encoded(tmp_path, "a.mp3"))
    with Decoder(path, name="it") as decoder:
        whole = [piece.frames for piece in decoder]
    packets = Decoder._packets

    def broken(decoder: Decoder) -> Iterator[Packet[AudioStream]]:
        yield from packets(decoder)
        raise SourceError("it broke off")

    if breaks_off:
        monkeypatch.setattr(Decoder, "_packets", broken)
    heard: list[Samples] = []
    counts: list[int] = []
    with (
        Decoder(path, name="it") as decoder,
        pytest.raises(SourceError) if breaks_off else nullcontext(),
    ):
        for some in decoder.gathered(0.2):
            counts.append(len(some))
            heard += [piece.frames for piece in decoder.pieces(some)]
    np.testing.assert_array_equal(np.concatenate(heard), np.concatenate(whole))
    assert max(counts) > 3
    assert len(counts) > 40


@pytest.mark.parametrize("name", ["a.mka", "a.m4a", "a.mp3"])
def test_tags_in_another_alphabet_cost_no_audio(tmp_path: Path, name: str) -> None:
    path = encoded(tmp_path, name, "-metadata", "title=AAAA")
    path.write_bytes(path.read_bytes().replace(b"AAAA", b"\xca\xc1\xff\xca"))
    assert abs(len(audio(read_all(source(path)))) / RATE - 10.0) < 0.1


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_a_wav_is_read_sample_for_sample(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(), RATE, subtype=subtype)
    expected, _ = soundfile.read(path, dtype="float32")
    assert np.array_equal(audio(read_all(source(path))), expected)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.m4a", "a.opus", "a.mka", "a.aiff"])
def test_every_common_format_is_heard_whole(tmp_path: Path, name: str) -> None:
    path = encoded(tmp_path, name)
    items = read_all(source(path))
    assert abs(len(audio(items)) / RATE - 10.0) < 0.1
    assert 0.08 < audio(items).std() < 0.12


@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
def test_any_rate_is_delivered_at_the_pipeline_s(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(rate=rate), rate)
    assert len(audio(read_all(source(path)))) == 3 * RATE


def test_eight_channels_are_mixed_or_chosen(tmp_path: Path) -> None:
    frames = np.stack([np.full(RATE, n / 10, np.float32) for n in range(8)], axis=1)
    path = tmp_path / "a.wav"
    soundfile.write(path, frames, RATE, subtype="FLOAT")
    assert np.allclose(audio(read_all(source(path))), 0.35)
    assert np.allclose(audio(read_all(source(path, inputs=(6, 7)))), 0.65)


def test_an_input_that_the_file_lacks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(), RATE)
    with pytest.raises(SourceError, match=r"input 9 is wanted and there are 1; give channel 'a'"):
        read_all(source(path, inputs=(8,)))


def test_what_a_file_is_called_does_not_matter(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sound(), RATE, subtype="PCM_16")
    for name in ("a.mp3", "a.txt", "a.raw", "a"):
        path = tmp_path / name
        shutil.copy(tmp_path / "a.wav", path)
        assert len(audio(read_all(source(path)))) == 3 * RATE


def test_not_numbers_are_silence(tmp_path: Path) -> None:
    samples = sound()
    samples[100:200] = np.nan
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    heard = audio(read_all(source(path)))
    assert np.array_equal(heard, np.nan_to_num(samples))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: path, "does not exist; name a recording that does"),
    "folder": (lambda path: path.mkdir(), "is a folder; name the recordings in it"),
    "empty": (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\)"),
    "text": (lambda path: path.write_text("hello world\n" * 99), "invalid data found"),
    "random": (lambda path: path.write_bytes(os.urandom(99_999)), "invalid data found|no audio"),
    "silent": (lambda path: soundfile.write(path, np.zeros(0), RATE, format="WAV"), "no audio"),
    "picture": (lambda path: path.write_bytes(_png()), "holds no audio"),
}


def _png() -> bytes:
    from matplotlib import image

    file = io.BytesIO()
    image.imsave(file, np.zeros((9, 9)), format="png")
    return file.getvalue()


@pytest.mark.parametrize("kind", list(BAD))
def test_what_is_not_a_recording_is_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    make, said = BAD[kind]
    path = tmp_path / "a.wav"
    make(path)
    with pytest.raises(SourceError, match=said) as caught:
        read_all(source(path))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        path = tmp_path / "a.wav"
        soundfile.write(path, sound(), RATE)
        path.chmod(0)
        with pytest.raises(SourceError, match="may not be read by this user"):
            read_all(source(path))
        return
    said = _as_nobody(tmp_path)
    assert "may not be read by this user; change its mode" in said


def _as_nobody(folder: Path) -> str:
    """Open a file of root's in a child that gave up root; return what it says."""
    path = folder / "a.wav"
    soundfile.write(path, sound(), RATE)
    path.chmod(0o600)
    for parent in (folder, *folder.parents):
        if parent == folder or parent.name.startswith("pytest"):
            parent.chmod(parent.stat().st_mode | 0o011)
    script = (
        "import os; from rtclassify.errors import SourceError\n"
        "from rtclassify.sources.recording import open_recording\n"
        f"os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        f"try: open_recording({str(path)!r})\n"
        "except SourceError as error: print(error)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3"])
def test_a_file_cut_short_is_labelled_as_far_as_it_goes(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = encoded(tmp_path, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    items = read_all(source(path))
    assert abs(len(audio(items)) / RATE - 5.0) < 0.5
    assert sum("damaged or cut short" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.m4a"])
def test_garbage_in_the_middle_is_played_around(tmp_path: Path, name: str) -> None:
    path = encoded(tmp_path, name)
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    garbage = np.random.default_rng(1).integers(0, 256, 3_000, dtype=np.uint8).tobytes()
    whole[middle : middle + len(garbage)] = garbage
    path.write_bytes(bytes(whole))
    items = read_all(source(path))
    assert len(audio(items)) / RATE > 8.5
    if name != "a.mp3":  # whose frames carry no time
        assert any(isinstance(item, Gap) for item in items)
        assert abs(end_of(items) / RATE - 10.0) < 0.1


@pytest.mark.parametrize("length", ["known", "unknown"])
def test_a_wav_on_standard_input_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: str
) -> None:
    """Ffmpeg cannot go back in a pipe and leaves 0xFFFFFFFF for the length."""
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(), RATE)
    whole = path.read_bytes()
    if length == "unknown":
        data = whole.index(b"data")
        whole = whole[:4] + b"\xff" * 4 + whole[8 : data + 4] + b"\xff" * 4 + whole[data + 8 :]
    reading, writing = os.pipe()
    feeder = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"],
        stdin=subprocess.PIPE,
        stdout=writing,
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=pipe))
        assert feeder.stdin is not None
        feeder.stdin.write(whole)
        feeder.stdin.close()
        heard = audio(read_all(source("-")))
    feeder.wait()
    expected, _ = soundfile.read(path, dtype="float32")
    assert np.array_equal(heard, expected)


def test_a_live_recording_is_paced_by_the_clock(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(), RATE)
    clock = ManualClock()
    request = Request(str(path), (Tap("a", ()),), RATE, clock, Wakeup(), live=True)
    with FileSource(request) as recording:
        assert not recording.read()
        clock.advance(0.125)
        items = recording.read()
        assert end_of(items) == 0.1 * RATE
        assert not recording.read()
        assert recording.position_s == pytest.approx(0.1)
        block = items[-1]
        assert isinstance(block, AudioBlock)
        assert block.line is not None
        assert block.line.at(block.end) == pytest.approx(clock.now() - 0.025)
        clock.advance(100.0)
        while not recording.ended:
            items += recording.read()
    assert len(audio(items)) == 3 * RATE


def test_progress_can_be_shown(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(70.0), RATE)
    with source(path) as recording:
        assert recording.duration_s == 70.0
        seen = []
        while not recording.ended:
            recording.read()
            seen.append(recording.position_s)
    assert seen == [READ_S, 2 * READ_S, 70.0]
