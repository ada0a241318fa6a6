"""The command line as a person runs it: real processes, real files, real exit codes."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import soundfile

from rtclassify.cli import app
from rtclassify.errors import BundleError, SinkError, SourceError, UsageError

RATE = 16_000
COMMANDS = [
    command.name or command.callback.__name__
    for command in app.registered_commands
    if command.callback
]
HEAVY = ("tensorflow", "keras", "sounddevice", "av", "soundfile", "soxr", "zmq", "matplotlib")
ENVIRONMENT = os.environ | {"COLUMNS": "80", "OMP_NUM_THREADS": "1"}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "rtclassify", *map(str, arguments)]


def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip


def noise(seconds: float, *, rate: int = RATE, channels: int = 1) -> np.ndarray:
    shape = (round(seconds * rate), channels)
    return (0.1 * np.random.default_rng(1).standard_normal(shape)).astype(np.float32)


def wav(path: Path, seconds: float = 7.0, *, rate: int = RATE, channels: int = 1) -> Path:
    soundfile.write(path, noise(seconds, rate=rate, channels=channels), rate)
    return path


def complaints(stderr: str) -> list[str]:
    """Return what a person is told, one sentence a line; there must be nothing else."""
    lines = stderr.splitlines()
    assert [line for line in lines if not line.startswith("rtclassify: ")] == []
    return [line.removeprefix("rtclassify: ") for line in lines]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    done = run(name, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: python -m rtclassify {name}")
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_help_names_every_command() -> None:
    done = run("--help")

    assert done.returncode == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in done.stdout] == []
    assert "..." not in done.stdout.partition("Commands:")[2]


def test_the_command_line_loads_nothing_heavy() -> None:
    code = f"import sys, rtclassify.cli; print([m for m in {HEAVY} if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_an_engine_loads_nothing_that_draws_and_leaves_it_to_be_had(tiny_bundle: Path) -> None:
    code = (
        "import sys; from rtclassify.cli.loading import open_engine;"
        f"open_engine({str(tiny_bundle)!r}, hop_s=None, device='cpu', runtime='tensorflow');"
        "print('matplotlib' in sys.modules); import matplotlib.figure"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "arguments",
    [
        ("clasify",),
        ("classify",),
        ("classify", "a.wav", "--format", "xml"),
        ("classify", "a.wav", "--device", "tpu"),
        ("classify", "a.wav", "b.wav", "--format", "webvtt"),
        ("inspect", "a.wav", "-o", "a.txt"),
        ("inspect", "a.wav", "--start", "-1"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_loaded(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    done = run(*arguments, cwd=tmp_path)

    assert done.returncode == UsageError.exit_code
    assert done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    path = wav(tmp_path / "a.wav")
    before = path.read_bytes()

    done = run("classify", path, "-o", tmp_path / "." / "a.wav")

    assert done.returncode == UsageError.exit_code
    assert "would be overwritten" in complaints(done.stderr)[0]
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["classify", "inspect"])
def test_a_model_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    done = run(name, wav(tmp_path / "a.wav"), "--model", "opera", cwd=tmp_path)

    assert done.returncode == BundleError.exit_code
    assert complaints(done.stderr)[0].startswith("There is no model 'opera'")


def test_labels_for_a_place_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    done = run("classify", wav(tmp_path / "a.wav"), "-o", tmp_path / "missing" / "labels")

    assert done.returncode == SinkError.exit_code
    assert "No such file or directory" in complaints(done.stderr)[0]


def bad_recordings(folder: Path) -> dict[str, str]:
    """Make one of each kind; return what must be said of it."""
    good = wav(folder / "good.wav").read_bytes()
    (folder / "empty.wav").touch()
    (folder / "header.wav").write_bytes(good[:20])
    (folder / "text.wav").write_text("This is no audio, whatever it is called.\n")
    (folder / "random.mp3").write_bytes(np.random.default_rng(2).bytes(5_000))
    (folder / "folder.flac").mkdir()
    wav(folder / "tiny.wav", 0.2)
    wav(folder / "nothing.wav", 0.0)
    return {
        "empty.wav": "0 bytes",
        "header.wav": "header.wav",
        "text.wav": "text.wav",
        "random.mp3": "random.mp3",
        "folder.flac": "is a folder",
        "tiny.wav": "too little to label",
        "nothing.wav": "holds no audio",
        "missing.wav": "does not exist",
    }


def test_bad_recordings_get_one_sentence_each_and_the_others_are_labelled(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    bad = bad_recordings(tmp_path)
    odd = [
        wav(tmp_path / "eight.wav", channels=8),
        wav(tmp_path / "fast.wav", rate=192_000),
        wav(tmp_path / "good.wav").rename(tmp_path / "wrong.mp3"),
    ]

    done = run("classify", *bad, *odd, *light_model, cwd=tmp_path)

    assert done.returncode == SourceError.exit_code
    said = complaints(done.stderr)
    assert len(said) == len(bad)
    for sentence, (name, words) in zip(said, bad.items(), strict=True):
        assert sentence.startswith(name)
        assert words in sentence
        assert sentence.endswith(".")
    labels = [json.loads(line) for line in done.stdout.splitlines()]
    assert [x["end_s"] for x in labels] == [hop / 2 for hop in range(1, 15)] * 3
    assert list(dict.fromkeys(x["path"] for x in labels)) == [str(path) for path in odd]


def test_damage_is_told_and_what_is_whole_is_labelled(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    holes = noise(7.0)
    holes[1_000:2_000] = np.nan
    soundfile.write(tmp_path / "holes.wav", holes, RATE, subtype="FLOAT")
    whole = wav(tmp_path / "whole.wav", 9.0).read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) * 7 // 9])
    subprocess.run(
        ["ffmpeg", "-v", "error", "-i", "whole.wav", "-b:a", "64k", "scratched.mp3"],
        cwd=tmp_path, check=True,
    )  # fmt: skip
    scratched = bytearray((tmp_path / "scratched.mp3").read_bytes())
    middle = len(scratched) * 2 // 3
    scratched[middle : middle + 4_000] = np.random.default_rng(3).bytes(4_000)
    (tmp_path / "scratched.mp3").write_bytes(scratched)

    names = ("holes.wav", "cut.wav", "scratched.mp3")
    done = run("classify", *names, *light_model, cwd=tmp_path)

    assert done.returncode == 0
    assert {name for name in names if any(s.startswith(name) for s in complaints(done.stderr))} == {
        *names
    }
    assert {json.loads(line)["path"] for line in done.stdout.splitlines()} == {*names}


def in_process(*arguments: object) -> None:
    """Run a command here, where TensorFlow is loaded already."""
    app([*map(str, arguments)], standalone_mode=False)


def test_standard_input_is_labelled_like_the_file(
    tmp_path: Path, light_model: tuple[str, ...]
) -> None:
    path = wav(tmp_path / "a.wav")

    piped = subprocess.run(
        command("classify", "-", *light_model), input=path.read_bytes(), env=ENVIRONMENT,
        capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    in_process("classify", path, *light_model, "-o", tmp_path / "a.jsonl")

    assert (piped.returncode, piped.stderr) == (0, b"")
    said = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [json.loads(line) for line in piped.stdout.splitlines()] == [
        {**label, "path": "-"} for label in said
    ]


def test_output_goes_where_it_is_told_in_the_format_it_is_told(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    path = wav(tmp_path / "a.wav")

    in_process("classify", path, "--model", tiny_bundle, "-f", "audacity", "-o", tmp_path / "a.txt")

    segments = [line.split("\t") for line in (tmp_path / "a.txt").read_text().splitlines()]
    assert (segments[0][0], segments[-1][1]) == ("0.000000", "7.000000")


def test_a_hop_that_does_not_fit_names_those_that_do(tmp_path: Path, tiny_bundle: Path) -> None:
    done = run("classify", wav(tmp_path / "a.wav"), "--model", tiny_bundle, "--hop", "0.33")

    assert done.returncode == BundleError.exit_code
    assert "use 0.3 or 0.4 s" in complaints(done.stderr)[0]


@contextmanager
def endless(*model: object) -> Iterator[subprocess.Popen[bytes]]:
    """Label a recording that has begun and does not end."""
    with subprocess.Popen(
        command("classify", "-", *model), env=ENVIRONMENT, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        stdin, _, _ = pipes(process)
        stdin.write(wav_header(seconds=100_000) + pcm(60.0))
        stdin.flush()
        yield process


def pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    return process.stdin, process.stdout, process.stderr


def pcm(seconds: float) -> bytes:
    return (noise(seconds) * 32767).astype("<i2").tobytes()


def wav_header(*, seconds: int) -> bytes:
    size = seconds * RATE * 2
    form = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
    head = struct.pack("<4sI8sI", b"RIFF", size + 36, b"WAVEfmt ", len(form))
    return head + form + struct.pack("<4sI", b"data", size)


def test_ctrl_c_ends_with_130_and_whole_lines(tiny_bundle: Path) -> None:
    with endless("--model", tiny_bundle) as process:
        _, stdout, stderr = pipes(process)
        first = stdout.readline()

        process.send_signal(signal.SIGINT)
        rest = stdout.read()

        assert (process.wait(60), stderr.read()) == (130, b"")
        labels = [json.loads(line) for line in (first + rest).splitlines()]
        assert labels[0]["start_s"] == 0.0


def test_a_reader_that_has_seen_enough_ends_it_without_a_word(light_model: tuple[str, ...]) -> None:
    with endless(*light_model) as process:
        stdin, stdout, stderr = pipes(process)
        stdout.readline()

        stdout.close()
        with suppress(BrokenPipeError):  # it may have noticed already
            stdin.write(pcm(60.0))
            stdin.close()

        assert (process.wait(60), stderr.read()) == (1, b"")


def test_inspect_writes_one_picture_and_says_where(tmp_path: Path, tiny_bundle: Path) -> None:
    done = run("inspect", wav(tmp_path / "a.wav"), "--model", tiny_bundle, cwd=tmp_path)

    assert (done.returncode, done.stdout, done.stderr) == (0, "a.png\n", "")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_inspect_of_a_missing_recording_writes_nothing(
    tmp_path: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SourceError, match=r"missing\.wav does not exist"):
        in_process("inspect", "missing.wav", "--model", tiny_bundle)

    assert list(tmp_path.iterdir()) == []
