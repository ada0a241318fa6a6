"""What is found to learn from, what is held out, and how it is decoded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from pydub import AudioSegment

from rtclassify.corpus import dataset, decode
from rtclassify.corpus.dataset import Clip
from rtclassify.errors import DataError

RATE = 16_000
KINDS = {"speech": {"speech"}, "music": {"music"}, "both": {"speech", "music"}, "other": set()}


@pytest.fixture
def lay(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with empty files at the paths given."""

    def laid(*paths: str) -> Path:
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
        return tmp_path

    return laid


def kinds(data: Path) -> dict[str, str]:
    return {clip.path.name: clip.kind for clip in dataset.find(data)}


def clip(name: str, kind: str = "speech", source: str = "s") -> Clip:
    return Clip(Path(name), frozenset(KINDS[kind]), source)


def tone(
    path: Path,
    rate: int,
    *,
    seconds: float = 1.0,
    channels: int = 1,
    subtype: str | None = None,
) -> Path:
    wave = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate, subtype)
    return path


def ignore(_: int) -> None:
    """Take the progress that nobody watches."""


def test_gtzan_is_found_as_it_unpacks(lay: Callable[..., Path]) -> None:
    data = lay("music_wav/bagpipe.wav", "speech_wav/acomic.wav", "music_wav/.DS_Store")

    assert kinds(data) == {"bagpipe.wav": "music", "acomic.wav": "speech"}


def test_musan_is_found_as_it_unpacks(lay: Callable[..., Path]) -> None:
    data = lay(
        "musan/music/fma/music-fma-0000.wav",
        "musan/music/fma/ANNOTATIONS",
        "musan/speech/librivox/speech-librivox-0000.wav",
        "musan/noise/free-sound/noise-free-sound-0000.wav",
        "musan/noise/README",
    )

    assert sorted(kinds(data).values()) == ["music", "other", "speech"]


def test_folders_of_both_are_not_mistaken_for_speech(lay: Callable[..., Path]) -> None:
    data = lay("speech_music/a.mp3", "both/b.ogg", "speech/c.wav", "music/d.wav", "other/e.wav")

    found = kinds(data)

    assert [found[name] for name in sorted(found)] == ["both", "both", "speech", "music", "other"]


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ((), "holds no recordings"),
        (("speech/a.wav",), "holds no music"),
        (("music/a.wav", "noise/b.wav"), "holds no speech"),
        (("speech/a.wav", "music/b.wav", "jazz/c.wav"), "jazz is not named after a class"),
    ],
)
def test_a_folder_that_teaches_nothing_is_refused_in_a_sentence(
    lay: Callable[..., Path], paths: tuple[str, ...], words: str
) -> None:
    data = lay(*paths)

    with pytest.raises(DataError, match=words):
        dataset.refuse_one_sided(dataset.find(data), str(data))


def test_data_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        dataset.find(tmp_path / "nowhere")


def test_a_table_gives_parts_labels_split_and_source(tmp_path: Path) -> None:
    table = tmp_path / "data.tsv"
    table.write_text(
        "path\tstart\tend\tlabels\tsplit\tsource\n"
        "day.flac\t10.5\t20\tspeech+music\ttrain\tstation/anna\n"
        "day.flac\t\t\tother\tval\tstation\n"
        "song.mp3\t0\t\tmusic\t\t\n",
        "utf-8",
    )

    first, second, third = dataset.find(table)

    assert first == Clip(
        tmp_path / "day.flac", frozenset({"speech", "music"}), "station/anna", "train", 10.5, 20.0
    )
    assert (second.labels, second.split, second.end_s) == (frozenset(), "val", None)
    assert (third.kind, third.split) == ("music", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path\tlabels\na.wav\tspeech\n", "no column start, end"),
        ("path\tstart\tend\tlabels\na.wav\t0\t1\tjazz\n", "line 2: labels are 'jazz'"),
        ("path\tstart\tend\tlabels\na.wav\tsoon\t1\tspeech\n", "line 2: could not convert"),
        ("path\tstart\tend\tlabels\tsplit\na.wav\t\t\tmusic\ttest\n", "split is 'test'"),
    ],
)
def test_a_table_with_a_fault_is_refused_with_its_place(
    tmp_path: Path, text: str, words: str
) -> None:
    table = tmp_path / "data.tsv"
    table.write_text(text, "utf-8")

    with pytest.raises(DataError, match=words):
        dataset.find(table)


@given(
    counts=st.fixed_dictionaries({kind: st.integers(2, 40) for kind in ("speech", "music")}),
    seed=st.integers(0, 99),
)
def test_a_fifth_of_every_kind_is_held_out(counts: dict[str, int], seed: int) -> None:
    clips = [clip(f"{kind}{n}", kind) for kind, count in counts.items() for n in range(count)]

    sides = dataset.split(clips, seed=seed, by_source=False)

    for kind, count in counts.items():
        held = [c for c, side in zip(clips, sides, strict=True) if c.kind == kind and side == "val"]
        assert len(held) == max(1, round(count / 5))
    assert sides == dataset.split(clips, seed=seed, by_source=False)


@given(
    parts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=10),
    by_source=st.booleans(),
)
def test_no_file_and_no_source_is_on_both_sides(
    parts: list[tuple[int, int]], *, by_source: bool
) -> None:
    clips = [clip(f"file{file}", source=f"source{source}") for file, source in parts]
    names = [c.source if by_source else str(c.path) for c in clips]
    if len(set(names)) < 2:
        return

    sides = dataset.split(clips, seed=0, by_source=by_source)

    assert len(set(zip(names, sides, strict=True))) == len(set(names))


def test_a_kind_with_one_file_cannot_be_split() -> None:
    with pytest.raises(DataError, match="music has one file alone"):
        dataset.split([clip("a"), clip("b"), clip("c", "music")], seed=0, by_source=False)


@pytest.mark.parametrize(
    ("name", "rate", "subtype"),
    [
        ("a.wav", 44_100, "PCM_16"),
        ("b.wav", 8_000, "PCM_U8"),
        ("c.wav", 48_000, "PCM_24"),
        ("d.wav", 22_050, "FLOAT"),
        ("e.flac", 16_000, None),
        ("f.ogg", 44_100, None),
        ("g.mp3", 44_100, None),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_any_format_and_rate_becomes_the_same_mono(
    tmp_path: Path, name: str, rate: int, subtype: str | None, channels: int
) -> None:
    audio = (
        decode.decode(tone(tmp_path / name, rate, channels=channels, subtype=subtype), RATE)
        / 32_767
    )

    middle = audio[4_000:12_000]
    assert abs(len(audio) - RATE) < RATE * 0.1
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert np.argmax(np.abs(np.fft.rfft(middle))) * 2 == pytest.approx(440, abs=3)


@pytest.mark.parametrize(("seconds", "by_pydub"), [(1.0, True), (600.0, False)])
def test_pydub_reads_short_wavs_and_no_long_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, *, by_pydub: bool
) -> None:
    path = tone(tmp_path / "a.wav", 16_000, seconds=seconds)
    read: list[str] = []
    real = AudioSegment.from_file

    def counted(file: IO[bytes], **how: str) -> AudioSegment:
        read.append(file.name)
        return real(file, **how)

    monkeypatch.setattr(AudioSegment, "from_file", counted)

    assert len(decode.decode(path, RATE)) == seconds * RATE
    assert read == ([str(path)] if by_pydub else [])


def test_what_was_decoded_once_is_not_decoded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tone(tmp_path / f"{n}.wav", 8_000, seconds=n) for n in (1, 2, 3)]
    first, _ = decode.Cache(tmp_path / "cache", RATE).take(paths, ignore)
    monkeypatch.setattr(decode, "decode", None)

    again, unreadable = decode.Cache(tmp_path / "cache", RATE).take(paths[::-1], ignore)

    assert unreadable == []
    assert all(np.array_equal(first[path], again[path]) for path in paths)
    assert [len(again[path]) for path in paths] == [16_000, 32_000, 48_000]


def test_a_file_that_changed_is_decoded_again(tmp_path: Path) -> None:
    path = tone(tmp_path / "a.wav", RATE)
    cache = decode.Cache(tmp_path / "cache", RATE)
    cache.take([path], ignore)

    tone(path, RATE, seconds=2.0)

    assert len(cache.take([path], ignore)[0][path]) == 2 * RATE


def test_an_interrupted_run_leaves_nothing_wrong(tmp_path: Path) -> None:
    one, two = (tone(tmp_path / f"{n}.wav", RATE, seconds=n) for n in (1, 2))
    cache = decode.Cache(tmp_path / "cache", RATE)
    whole, _ = cache.take([one], ignore)
    with (tmp_path / "cache" / f"audio-{RATE}.i16").open("ab") as file:
        file.write(b"half of a recordin")

    heard, _ = cache.take([one, two], ignore)

    assert np.array_equal(heard[one], whole[one])
    assert np.array_equal(heard[two], decode.decode(two, RATE))


def test_unreadable_files_are_named_and_do_not_stop_the_others(tmp_path: Path) -> None:
    good, bad = tone(tmp_path / "good.wav", RATE), tmp_path / "bad.wav"
    bad.write_bytes(b"not audio at all")
    counted: list[int] = []

    heard, unreadable = decode.Cache(tmp_path / "cache", RATE).take(
        [good, bad, tmp_path / "gone.wav"], counted.append
    )

    assert list(heard) == [good]
    assert unreadable == [bad, tmp_path / "gone.wav"]
    assert sum(counted) == 3


def test_nothing_readable_is_an_error_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no")

    with pytest.raises(DataError, match="None of the 1 files is audio"):
        decode.Cache(tmp_path / "cache", RATE).take([tmp_path / "a.wav"], ignore)
