"""The light runtime: TensorFlow's scores without TensorFlow, and no file but a proven one."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bundle import digest_again, rewrite
from test_engine import NAMES, PAIRS, engine_of, noise, untrained, windows_of
from test_run import started
from typer.testing import CliRunner

from rtclassify import bundle as bundles
from rtclassify import conversion, litert
from rtclassify.cli import app
from rtclassify.cli.loading import open_engine
from rtclassify.description import LIGHT, describe
from rtclassify.engine import Engine
from rtclassify.errors import BundleError, RtclassifyError, UsageError
from rtclassify.frontends import stft
from rtclassify.stream import Samples, Window

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "rtclassify" / "sources" / "demo.ogg"
TOLERANCE = 1e-3


@pytest.fixture(scope="module", params=PAIRS, ids=NAMES)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> bundles.Bundle:
    """Return a bundle that was exported."""
    path = untrained(tmp_path_factory.mktemp("models") / "tiny", *request.param)
    conversion.export(bundles.read(path))
    return bundles.load(path)


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the shipped model that was exported as people do it."""
    path = tmp_path_factory.mktemp("models") / "speech-music"
    shutil.copytree(ROOT / "models" / "speech-music", path)
    done = CliRunner().invoke(app, ["export", "--format", "tflite", "--model", str(path)])
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(path / LIGHT)
    return path


@pytest.fixture
def copy(light: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(light, tmp_path / "speech-music"))


@pytest.fixture
def without_tensorflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs find no TensorFlow."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    for name in ("tensorflow", "keras"):
        missing = f"raise ModuleNotFoundError('hidden by a test', name={name!r})\n"
        (hidden / f"{name}.py").write_text(missing)
    monkeypatch.setenv("PYTHONPATH", f"{hidden}:{os.environ.get('PYTHONPATH', '')}")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rtclassify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def streamed(engine: Engine, audio: Samples) -> Samples:
    engine.reset()
    return np.concatenate([engine.scores([window]) for window in windows_of(audio, engine)])


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), level=st.sampled_from([0.0, 1e-4, 1.0, 5.0]))
@pytest.mark.parametrize("hop_units", [1, 5])
def test_scores_are_those_of_tensorflow(
    both: bundles.Bundle, hop_units: int, seed: int, level: float
) -> None:
    here = engine_of(both, hop_units=hop_units)
    there = litert.open_engine(str(both.description.path), hop_s=here.hop / here.rate)
    audio = level * noise(seed, here.window + 4 * here.hop)

    np.testing.assert_allclose(streamed(there, audio), streamed(here, audio), atol=TOLERANCE)


def told_of_demo(model: Path, runtime: str, folder: Path) -> list[dict[str, Any]]:
    """Return what ``classify`` tells of the demo programme."""
    out = folder / runtime
    options = ["--model", str(model), "--runtime", runtime, "-f", "jsonl", "-o", str(out)]
    done = CliRunner().invoke(app, ["classify", str(DEMO), *options])
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_the_demo_is_labelled_alike(light: Path, tmp_path: Path) -> None:
    told = [told_of_demo(light, runtime, tmp_path) for runtime in ("tensorflow", "litert")]

    probs = [[[*entry.pop("probs").values()] for entry in said] for said in told]
    assert len(told[0]) > 100
    assert told[0] == told[1]
    np.testing.assert_allclose(probs[0], probs[1], atol=TOLERANCE)


def test_a_batch_of_channels_is_scored_as_each_alone(light: Path) -> None:
    engine = litert.open_engine(str(light))
    audio = {name: noise(seed, engine.window) for seed, name in enumerate("abc")}
    alone = [engine.scores([Window("x", 0, sound)]) for sound in audio.values()]

    together = engine.scores([Window(name, 0, sound) for name, sound in audio.items()])

    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-5)


@settings(max_examples=12, deadline=None)
@given(length=st.integers(2, 400), step=st.integers(1, 200), shorter=st.integers(0, 200))
def test_both_ways_to_an_stft_agree(length: int, step: int, shorter: int) -> None:
    audio = noise(length, 2 * 1000).reshape(2, -1)
    fft_length = max(2, length - shorter)

    by_fft = stft.by_fft(audio, length, step, fft_length).numpy()
    by_convolution = stft.by_convolution(audio, length, step, fft_length).numpy()

    np.testing.assert_allclose(by_convolution, by_fft, atol=1e-5 * max(1.0, by_fft.max()))


@pytest.mark.usefixtures("without_tensorflow")
def test_classify_and_run_need_no_tensorflow(light_model: tuple[str, ...], tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    soundfile.write(short, noise(1, 3 * 8_000), 16_000)

    done = run("classify", str(short), "-f", "jsonl", *light_model)
    with started(tmp_path, "--source", str(short), *light_model) as daemon:
        ended = daemon.ended()

    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 3
    assert ended == 0, daemon.log
    assert "on CPU, LiteRT" in daemon.log
    assert len(daemon.messages("label/")) > 0


def test_a_running_daemon_keeps_its_runtime(light: Path, tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(f'model = "{light}"\nruntime = "litert"\n')
    with started(tmp_path, "--config", str(config), "--source", "demo") as daemon:
        daemon.await_(lambda: daemon.messages("heartbeat"), "a heartbeat")
        config.write_text(f'model = "{light}"\n')
        daemon.signal(signal.SIGHUP)
        refused = "runtime = 'tensorflow' cannot take the place of 'litert'"
        daemon.await_(lambda: refused in daemon.log, "the refusal")
        daemon.signal(signal.SIGTERM)

        assert daemon.ended() == 0


@pytest.mark.parametrize(
    "arguments",
    [("classify", str(DEMO)), ("train", "."), ("export", "-f", "tflite"), ("inspect", str(DEMO))],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.usefixtures("without_tensorflow")
def test_what_needs_tensorflow_says_so(arguments: tuple[str, ...]) -> None:
    done = run(*arguments)

    assert done.returncode == 8, done.stderr
    assert re.fullmatch(r"rtclassify: TensorFlow is not installed here; .*\n", done.stderr)


def test_a_machine_without_litert_is_told_what_to_install(
    light: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)

    assert "install ai-edge-litert" in refusal(light)


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(RtclassifyError) as caught:
        litert.open_engine(str(path), **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_bundle_that_was_not_exported_says_how(tiny_bundle: Path) -> None:
    assert f"rtclassify export --format tflite --model {tiny_bundle}" in refusal(tiny_bundle)


def test_a_changed_byte_is_found(copy: Path) -> None:
    content = bytearray((copy / LIGHT).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / LIGHT).write_bytes(content)

    assert "changed or damaged" in refusal(copy)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"x" * 5000], ids=["empty", "short", "other"])
def test_what_is_no_model_is_refused_even_with_a_digest_that_fits(
    copy: Path, content: bytes
) -> None:
    (copy / LIGHT).write_bytes(content)
    digest_again(copy)

    assert "is not what `rtclassify export` makes" in refusal(copy)


def test_a_truncated_model_is_refused_even_with_a_digest_that_fits(copy: Path) -> None:
    content = (copy / LIGHT).read_bytes()
    (copy / LIGHT).write_bytes(content[: len(content) // 2])
    digest_again(copy)

    assert "is not what `rtclassify export` makes" in refusal(copy)


@pytest.mark.parametrize("grid", [{}, {"window": "long"}, {"window": 80_000, "pitch": 1}])
def test_a_grid_that_is_none_is_refused(copy: Path, grid: dict[str, Any]) -> None:
    rewrite(copy, grid=grid)

    assert "export it again" in refusal(copy)


def test_another_models_file_is_found_by_the_probe(
    light_model: tuple[str, ...], tmp_path: Path
) -> None:
    path = untrained(tmp_path / "tiny", window=16_000)
    bundles.add_file(describe(path), LIGHT, (Path(light_model[1]) / LIGHT).read_bytes())

    assert "no longer scores its probe" in refusal(path)


def test_a_hop_that_does_not_fit_is_refused(light: Path) -> None:
    assert "use 0.3 or 0.4 s" in refusal(light, hop_s=0.33)


def test_the_light_runtime_knows_no_gpu(light: Path) -> None:
    with pytest.raises(UsageError, match="knows no GPU"):
        open_engine(str(light), hop_s=None, device="gpu", runtime="litert")


def test_an_export_changes_nothing_else_of_the_bundle(light: Path) -> None:
    before, after = describe(ROOT / "models" / "speech-music"), describe(light)

    files = {name: digest for name, digest in after.files.items() if name != LIGHT}
    assert after.tag == before.tag
    assert files == {name: digest for name, digest in before.files.items() if name != LIGHT}
    assert (after.probe, after.data, after.network) == (before.probe, before.data, before.network)
    bundles.load(light)


def test_a_model_that_is_trained_anew_loses_the_old_light_file(copy: Path) -> None:
    untrained(copy)

    assert not (copy / LIGHT).exists()
    assert LIGHT not in describe(copy).files


def test_a_file_that_does_not_prove_itself_is_not_kept(
    tiny_bundle: Path,
    light_model: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = Path(shutil.copytree(tiny_bundle, tmp_path / "tiny"))
    rewrite(path, probe=[[0.0, 1.0]] * 4)
    converted = (Path(light_model[1]) / LIGHT).read_bytes()
    monkeypatch.setattr(conversion, "convert", lambda _: converted)

    with pytest.raises(BundleError, match="no longer scores its probe"):
        conversion.export(bundles.read(path))

    assert not (path / LIGHT).exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-f", "tflite", "journal"], "--format tflite exports a model; give --model NAME"),
        (["-f", "tflite", "--day", "2026-03-14"], "give --model NAME and no more."),
        (["-f", "tflite", "-o", "x.tflite"], "give --model NAME and no more."),
        (["-f", "csv", "journal", "--model", "x"], "--model goes with tflite and int8."),
        (["-f", "csv"], "--format csv exports segments of a journal; name its file."),
        (["-f", "tflite", "--model", "nonesuch"], "There is no model 'nonesuch'"),
    ],
    ids=" ".join,
)
def test_exports_of_two_kinds_are_not_mixed(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["export", *arguments])

    assert isinstance(done.exception, RtclassifyError)
    assert said in str(done.exception)


def test_the_page_installs_what_the_project_needs() -> None:
    """All but TensorFlow, and matplotlib, which draws."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = project["dependencies"] + project["optional-dependencies"]["litert"]

    page = (ROOT / "docs" / "light.md").read_text().replace("\\\n", " ")
    (command,) = re.findall(r"pip install (.*ai-edge-litert.*)", page)

    listed = {name_of(requirement) for requirement in shlex.split(command)}
    assert listed == {name_of(line) for line in needed} - {"tensorflow", "matplotlib"}


def name_of(requirement: str) -> str:
    return re.split(r"[^a-z-]", requirement)[0]
