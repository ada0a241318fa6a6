"""`scripts/corpus`: unpacking, naming, checking and listing, without a network."""

from __future__ import annotations

import importlib.util
import struct
import subprocess
from pathlib import Path
from types import ModuleType

import pytest
import soundfile

from rtclassify.corpus import dataset

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def corpus() -> ModuleType:
    spec = importlib.util.spec_from_file_location("corpus", ROOT / "scripts" / "corpus.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(**known: str) -> dict[str, str]:
    return {
        "package": "p",
        "path": "a.wav",
        "class": "speech",
        "seconds": "1",
        "split": "train",
    } | known


def wav(path: Path, seconds: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, [0.1] * int(8_000 * seconds), 8_000)
    return path


def test_the_container_of_clips_is_read_as_its_makers_wrote_it(corpus: ModuleType) -> None:
    clips = {"020001P2.SB": b"first clip", "52SSSSSS.SB": b"second"}
    table = 15 + 21 * (len(clips) + 1)
    entries, audio = b"", b""
    for name, clip in [*clips.items(), ("TEXT.BAM", b"not a clip")]:
        entries += struct.pack(">12sBII", name.encode(), 0, table + len(audio), len(clip))
        audio += clip
    container = b"QTBL" + b"CEM10\0\0\0" + b"\1" + struct.pack(">H", 3) + entries + audio

    assert dict(corpus.queen_clips(container)) == clips


def test_another_container_is_refused(corpus: ModuleType) -> None:
    with pytest.raises(ValueError, match="QTBL"):
        next(corpus.queen_clips(b"RIFF" + bytes(100)))


def test_what_neural_voices_made_is_listed_as_made(corpus: ModuleType, tmp_path: Path) -> None:
    for kind, group in (("singing", "choir"), ("speech", "slavic")):
        wav(tmp_path / kind / group / "0000.flac")

    sung, said = corpus.made_entries(tmp_path)

    assert (sung.path, sung.labels, sung.split) == (
        "voices/singing/choir/0000.flac",
        "music",
        "train",
    )
    assert (sung.source, said.source) == ("neural-choir-singing", "neural-slavic")
    assert said.labels == "speech"


@pytest.mark.parametrize(
    ("package", "path", "source"),
    [
        ("festvox-ru", "usr/share/festival/a.wav", "festvox-ru"),
        ("klettres-data", "usr/share/klettres/cs/alpha/a-1.ogg", "klettres-data/cs"),
        ("ktuberling-data", "usr/share/ktuberling/sounds/wa/tv.ogg", "ktuberling-data/wa"),
        ("tuxpaint-stamps-default", "usr/x/frog_desc_ru.ogg", "tuxpaint-stamps-default/ru"),
        ("tuxpaint-stamps-default", "usr/x/frog_desc_pt_BR.ogg", "tuxpaint-stamps-default/pt_BR"),
        ("tuxpaint-stamps-default", "usr/x/frog_desc.ogg", "tuxpaint-stamps-default/en"),
    ],
)
def test_a_voice_is_a_source_of_its_own(
    corpus: ModuleType, package: str, path: str, source: str
) -> None:
    assert corpus.voice(row(package=package, path=path)) == source


def rule(**known: str) -> dict[str, str]:
    return {"path": "a.ogg", "was": "music", "start": "", "end": "", "labels": ""} | known


def pieces(corpus: ModuleType, *rules: dict[str, str]) -> list[tuple[str, str, str]]:
    entry = corpus.Entry("a.ogg", "", "", "music", "train", "p")
    return [(e.start, e.end, e.labels) for e in corpus.corrected([entry], list(rules))]


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ([], [("", "", "music")]),
        ([rule(was="other")], [("", "", "music")]),
        ([rule(path="b.ogg")], [("", "", "music")]),
        ([rule()], []),
        ([rule(labels="other")], [("", "", "other")]),
        ([rule(end="4.5", labels="other")], [("", "4.5", "other"), ("4.5", "", "music")]),
        ([rule(start="9")], [("0", "9", "music")]),
        (
            [rule(start="20", end="30"), rule(start="3", end="5", labels="other")],
            [
                ("0", "3", "music"),
                ("3", "5", "other"),
                ("5", "20", "music"),
                ("30", "", "music"),
            ],
        ),
    ],
)
def test_a_correction_leaves_out_or_labels_anew_what_it_names(
    corpus: ModuleType, rules: list[dict[str, str]], kept: list[tuple[str, str, str]]
) -> None:
    assert pieces(corpus, *rules) == kept


def test_a_correction_names_paths_by_a_pattern(corpus: ModuleType) -> None:
    rules = [rule(path="unpacked/p/*/announcer/*", was="other")]
    entries = [
        corpus.Entry(f"unpacked/p/usr/{path}", "", "", "other", "train", "p")
        for path in ("announcer/bam.wav", "rain.wav")
    ]

    assert [e.path for e in corpus.corrected(entries, rules)] == ["unpacked/p/usr/rain.wav"]


def test_every_correction_is_about_something_and_says_why(corpus: ModuleType) -> None:
    entries = list(corpus.catalog_entries(corpus.read_tsv(ROOT / "corpus" / "catalog.tsv")))
    seconds = {
        corpus.where(row): float(row["seconds"])
        for row in corpus.read_tsv(ROOT / "corpus" / "catalog.tsv")
    }

    for one in corpus.read_tsv(ROOT / "corpus" / "corrections.tsv"):
        assert one["reason"]
        assert one["labels"] in {"", "speech", "music", "speech+music", "other"}
        if one["path"].startswith("pack/"):
            continue  # what is in there depends on where it comes from
        about = [entry.path for entry in entries if corpus.speaks_of(one, entry)]
        assert about, one["path"]
        assert all(float(one["end"] or one["start"] or 0) <= seconds[path] for path in about), one


def test_what_is_missing_cut_or_unreadable_is_told(corpus: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "unpacked" / "p"
    wav(folder / "good.wav")
    wav(folder / "cut.wav", 0.4)
    (folder / "bad.wav").write_bytes(b"no audio")
    (folder / "raw.g722").write_bytes(bytes(8_000))
    (folder / "raw.gsm").write_bytes(bytes(1_650))

    def wrong(path: str) -> str:
        return str(corpus.wrong(row(path=path), tmp_path))

    assert [wrong(path) for path in ("good.wav", "raw.g722", "raw.gsm")] == ["", "", ""]
    assert wrong("gone.wav") == "not in the package"
    assert wrong("cut.wav") == "0.40 s long where the catalog says 1.00 s"
    assert "bad.wav" in wrong("bad.wav")


def test_the_list_is_what_train_takes(corpus: ModuleType, tmp_path: Path) -> None:
    wav(tmp_path / "unpacked" / "p" / "a.wav")
    wav(tmp_path / "pack" / "singing" / "karissa_hobbs" / "song.wav")
    wav(tmp_path / "pack" / "noise" / "rain" / "rain.wav")
    rows = [row(), row(path="gone.wav")]

    entries = [*corpus.catalog_entries(rows), *corpus.pack_entries(tmp_path / "pack")]
    listed = corpus.write_list(tmp_path, entries)

    found = dataset.find(tmp_path / "corpus.tsv")
    assert listed == 3
    assert [(c.path.name, c.kind, c.split, c.source) for c in found] == [
        ("a.wav", "speech", "train", "p"),
        ("rain.wav", "other", "train", "rain"),
        ("song.wav", "music", "val", "karissa_hobbs-singing"),
    ]
    assert all(c.path.is_file() for c in found)


def test_a_repository_is_cloned_at_its_commit_and_only_its_paths(
    corpus: ModuleType, tmp_path: Path
) -> None:
    origin = tmp_path / "origin"
    wav(origin / "data" / "clip.wav")
    wav(origin / "else" / "other.wav")
    git = ["git", "-C", str(origin), "-c", "user.name=t", "-c", "user.email=t@t"]
    for command in (
        ["init", "-q"],
        ["add", "."],
        ["commit", "-q", "-m", "x"],
        ["config", "uploadpack.allowFilter", "true"],
        ["config", "uploadpack.allowAnySHA1InWant", "true"],
    ):
        subprocess.run([*git, *command], check=True)
    commit = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    group = {
        "group": "speech/people",
        "source_repo": origin.as_uri(),
        "commit": commit,
        "paths": "data/*.wav",
    }

    corpus.clone(group, tmp_path / "repositories", tmp_path / "pack")

    copied = [path.name for path in (tmp_path / "pack" / "speech" / "people").iterdir()]
    assert copied == ["data_clip.wav"]


def test_no_source_is_on_both_sides(corpus: ModuleType) -> None:
    entries = list(corpus.catalog_entries(corpus.read_tsv(ROOT / "corpus" / "catalog.tsv")))

    sides = {entry.source: entry.split for entry in entries}

    assert all(sides[entry.source] == entry.split for entry in entries)
