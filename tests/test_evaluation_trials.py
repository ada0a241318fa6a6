"""From labelled recordings to trials, and from trials to what somebody said of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtclassify.corpus.dataset import Clip
from rtclassify.corpus.decode import Stored
from rtclassify.errors import BundleError, DataError
from rtclassify.evaluation import recordings
from rtclassify.evaluation.label_files import LabelFiles
from rtclassify.evaluation.scoring import frame_scores, scorer
from rtclassify.evaluation.trial import UNHEARD, Part, Trial, scored
from rtclassify.evaluation.worst import Worst
from rtclassify.stream import Samples
from rtclassify.testing import EnvelopeClassifier

RATE = 100
SPEECH, MUSIC, NEITHER = frozenset({"speech"}), frozenset({"music"}), frozenset[str]()


def tone(seconds: float, level: int = 9_000) -> Stored:
    wave = level * np.sign(np.sin(np.arange(round(seconds * RATE)) + 0.5))
    return np.asarray(wave, np.int16)


def clip(name: str, labels: frozenset[str], start_s: float = 0, end_s: float | None = None) -> Clip:
    return Clip(Path("/data") / name, labels, "voices/anna", None, start_s, end_s)


def made(clips: Sequence[Sequence[Clip]], audio: Mapping[str, Stored]) -> list[Trial]:
    heard = {Path("/data") / name: samples for name, samples in audio.items()}
    return list(recordings.trials(clips, heard, RATE))


def test_rows_of_one_recording_are_one_timeline() -> None:
    rows = [clip("a.wav", SPEECH, 0, 4), clip("a.wav", MUSIC, 3, 6), clip("a.wav", NEITHER, 7, 8)]

    (trial,) = made([rows], {"a.wav": tone(9)})

    assert trial.truth[:30].tolist() == [[1, 0]] * 30
    assert trial.truth[30:40].tolist() == [[1, 1]] * 10
    assert trial.truth[40:60].tolist() == [[0, 1]] * 20
    assert (trial.truth[60:70] == UNHEARD).all()
    assert trial.truth[70:80].tolist() == [[0, 0]] * 10
    assert (trial.truth[80:] == UNHEARD).all()


def test_silence_is_not_judged_and_pauses_are() -> None:
    audio = tone(12)
    audio[200:390] = 0
    audio[500:800] = 0

    (trial,) = made([[clip("a.wav", SPEECH)]], {"a.wav": audio})

    assert (trial.truth[:50] == [1, 0]).all()
    assert (trial.truth[50:80] == UNHEARD).all()
    assert (trial.truth[80:] == [1, 0]).all()


def test_short_recordings_of_a_source_and_kind_are_strung_together() -> None:
    names = [f"{number}.wav" for number in range(40)]
    audio = {name: tone(0.95, level=1_000 + 100 * at) for at, name in enumerate(names)}

    first, second = made([[clip(name, SPEECH)] for name in names], audio)

    assert [len(first.parts), len(second.parts)] == [32, 8]
    assert first.name == "0.wav and 31 more"
    for trial in (first, second):
        assert len(trial.truth) == len(trial.audio) / (RATE / 10)
        judged = np.zeros(len(trial.truth), bool)
        for part in trial.parts:
            here = trial.audio[part.start * 10 : part.start * 10 + 95]
            assert here.tolist() == audio[part.path.name].tolist()
            judged[part.start : part.end] = True
        assert (trial.truth[judged] == [1, 0]).all()
        assert (trial.truth[~judged] == UNHEARD).all()
        assert (trial.audio[np.repeat(~judged, 10)] != 0).any()


def test_recordings_of_two_kinds_are_never_strung_together() -> None:
    clips = [[clip("a.wav", SPEECH)], [clip("b.wav", MUSIC)], [clip("c.wav", SPEECH)]]

    found = made(clips, {name: tone(1) for name in ("a.wav", "b.wav", "c.wav")})

    assert sorted(trial.name for trial in found) == ["a.wav and 1 more", "b.wav"]


def test_what_could_not_be_read_is_left_out() -> None:
    (trial,) = made([[clip("a.wav", SPEECH)], [clip("b.wav", SPEECH)]], {"b.wav": tone(9)})

    assert (trial.name, trial.source) == ("b.wav", "voices")


def test_only_the_side_that_was_asked_for_is_taken(tmp_path: Path) -> None:
    table = tmp_path / "data.tsv"
    rows = ["a\t\t\tspeech\ttrain", "b\t\t\tmusic\tval", "b\t1\t2\tspeech\tval", "c\t\t\tmusic\t"]
    table.write_text("\n".join(["path\tstart\tend\tlabels\tsplit", *rows]))

    def names(side: recordings.Side) -> list[str]:
        return [clips[0].path.name for clips in recordings.find(table, side)]

    assert (names("val"), names("train"), names("all")) == (["b", "c"], ["a", "c"], ["a", "b", "c"])


def test_a_side_without_rows_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "data.tsv"
    table.write_text("path\tstart\tend\tlabels\tsplit\na\t\t\tspeech\ttrain\nb\t\t\tmusic\ttrain\n")

    with pytest.raises(DataError, match="no rows whose split is val"):
        recordings.find(table, "val")


@given(samples=st.integers(1, 900), hops=st.integers(1, 20), windows=st.integers(1, 20))
@settings(deadline=None, max_examples=60)
def test_a_frame_has_the_answer_of_its_cell(samples: int, hops: int, windows: int) -> None:
    """Cells are frames here; what no whole hop covers has the answer of the nearest."""
    window = 10 * windows
    hop = min(10 * hops, window)
    audio = np.random.default_rng(samples).normal(0, 0.5, samples).astype(np.float32)
    engine = EnvelopeClassifier(rate=RATE, window=window, hop=hop)

    found = frame_scores(engine, audio, decoded=False)

    heard = np.concatenate([audio] * (1 + window // samples))[: max(samples, window)]
    answered = window + (len(heard) - window) // hop * hop
    shares = np.mean(heard[window % hop : answered].reshape(-1, 10) > 0, axis=1)
    before = window % hop // 10
    expected = np.pad(shares, (before, len(found)), mode="edge")[: len(found)]
    assert len(found) == -(-samples // 10)
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)


def test_answers_are_found_by_name_whatever_their_order() -> None:
    class Turned(EnvelopeClassifier):
        labels = ("music", "speech")

    trial = a_trial(audio=tone(6, level=3_000))

    straight = scorer(EnvelopeClassifier(rate=RATE))(trial).scores
    assert np.array_equal(scorer(Turned(rate=RATE))(trial).scores, straight[:, ::-1])


def test_a_model_of_other_answers_is_refused() -> None:
    class Birds(EnvelopeClassifier):
        labels = ("music", "birdsong")

    with pytest.raises(BundleError, match="not speech"):
        scorer(Birds(rate=RATE))


def a_trial(*, audio: Stored | None = None, name: str = "a", speech: float = 1) -> Trial:
    audio = tone(6) if audio is None else audio
    truth = np.tile(np.array([speech, 0], np.float32), (len(audio) // 10, 1))
    parts = (Part(Path("/data/a.wav"), 0, len(truth)),)
    return Trial(name, "voices", "clean", audio, RATE, truth, parts)


CSV = "start,end,label\n0,2,speech\n2,4,speech+music\n"
FORMATS = {
    "a.csv": CSV,
    "a.tsv": CSV.replace(",", "\t"),
    "a.txt": "0.0\t2.0\tspeech\n2.0\t4.0\tspeech+music\n",
    "a.jsonl": '{"start_s": 0, "end_s": 2, "label": "speech"}\n'
    '{"start_s": 2, "end_s": 4, "label": "both"}\n',
    "all.csv": "path,start,end,label\na.wav,0,2,female\n"
    "/data/b.wav,0,9,music\na.wav,2,4,male/song\n",
    "headless.csv": "0,4,speech\n2,4,music\n",
}


@pytest.mark.parametrize("name", FORMATS)
def test_labels_are_read_in_every_format(name: str, tmp_path: Path) -> None:
    place = tmp_path / name.replace("headless", "a")
    place.write_text(FORMATS[name])

    for where in (place, tmp_path):
        scores = LabelFiles(where).score(a_trial()).scores
        assert scores[:20].tolist() == [[1, 0]] * 20
        assert scores[20:40].tolist() == [[1, 1]] * 20
        assert scores[40:].tolist() == [[0, 0]] * 20


def test_probabilities_of_overlapping_windows_are_averaged(tmp_path: Path) -> None:
    lines = [
        {"path": "a.wav", "start_s": at, "end_s": at + 4, "probs": {"speech": p, "music": 0.5}}
        for at, p in ((0, 0.2), (2, 0.8))
    ]
    place = tmp_path / "labels.jsonl"
    place.write_text("\n".join(map(json.dumps, lines)))

    scores = LabelFiles(place).score(a_trial()).scores

    assert scores[:20, 0] == pytest.approx(0.2)
    assert scores[20:40, 0] == pytest.approx(0.5)
    assert scores[40:, 0] == pytest.approx(0.8)
    assert scores[:, 1] == pytest.approx(0.5)


def test_labels_go_to_the_parts_of_a_trial(tmp_path: Path) -> None:
    place = tmp_path / "labels.csv"
    place.write_text("path,start,end,label\na.wav,0,1,speech\nb.wav,1,2,music\n")
    trial = a_trial()
    parts = (Part(Path("/d/a.wav"), 0, 10), Part(Path("/d/b.wav"), 13, 33, start_s=0.5))
    whole = Trial("two", "voices", "clean", trial.audio, RATE, trial.truth, parts)

    scores = LabelFiles(place).score(whole).scores

    expected = np.zeros((60, 2))
    expected[:10, 0] = 1
    expected[13 + 5 : 13 + 15, 1] = 1
    assert scores.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("start,end,label\n0,2,birdsong\n", "row 1 .*'birdsong' is no label"),
        ("start,end,label\n0,2,speech\nx,2,music\n", "row 2"),
        ("start,end\n0,2\n", "row 1"),
        ("", "holds no labels"),
        ("{broken", "cannot be read as labels"),
    ],
)
def test_what_is_no_label_file_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(text)

    with pytest.raises(DataError, match=reason):
        LabelFiles(tmp_path)


def test_a_recording_without_labels_is_named(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text(CSV)

    with pytest.raises(DataError, match=r"no labels for /data/a\.wav"):
        LabelFiles(tmp_path).score(a_trial())


def test_the_worst_windows_are_kept_one_a_recording_with_their_audio() -> None:
    worst = Worst(most=3)
    audio = np.arange(1_000, dtype=np.int16)
    for number, level in enumerate((0.3, 0.9, 0.1, 0.6, 0.2)):
        trial = a_trial(audio=audio, name=str(number), speech=0)
        scores: Samples = np.zeros((100, 2), np.float32)
        scores[50:, 0] = level
        worst.show(trial, scored(trial, scores))
        worst.show(trial, scored(trial, scores / np.float32(2)))

    assert [window.wrongness for window in worst.windows] == pytest.approx([0.9, 0.6, 0.3])
    assert all(window.audio.tolist() == list(range(500, 1_000)) for window in worst.windows)
    assert worst.listed()[0]["path"] == "/data/a.wav"
    assert worst.listed()[0]["start_s"] == 5.0
    assert worst.listed()[0]["truth"] == {"speech": 0.0, "music": 0.0}
