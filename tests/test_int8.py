"""The network in 8 bits: nearly TensorFlow's scores, and no file but a proven one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from test_bundle import digest_again
from test_engine import noise, untrained
from test_litert import told_of_demo
from typer.testing import CliRunner

from rtclassify.bundle import add_file
from rtclassify.cli import app
from rtclassify.cli.loading import open_engine
from rtclassify.description import INT8, describe
from rtclassify.engine import Engine
from rtclassify.errors import BundleError, UsageError
from rtclassify.probe import ROUGH
from rtclassify.stream import Window

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "models" / "speech-music"


def opened(path: Path) -> Engine:
    return open_engine(str(path), hop_s=None, device="cpu", runtime="int8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "speech-music"))


def test_the_demo_is_labelled_nearly_alike(tmp_path: Path) -> None:
    told = [told_of_demo(SHIPPED, runtime, tmp_path) for runtime in ("tensorflow", "int8")]

    theirs, ours = ([[*entry["probs"].values()] for entry in said] for said in told)
    names = zip(*([entry["label"] for entry in said] for said in told), strict=True)
    assert len(theirs) > 100
    np.testing.assert_allclose(ours, theirs, atol=ROUGH)
    assert sum(one != other for one, other in names) <= 0.01 * len(theirs)
    assert ours != theirs


def test_a_score_depends_on_its_own_window_alone() -> None:
    """To the last bit: what is scaled for a window is scaled for it alone."""
    engine = opened(SHIPPED)
    audio = {f"{n}": noise(n, engine.window) * np.float32(10.0 ** -(n % 4)) for n in range(70)}
    windows = [Window(name, 0, sound) for name, sound in audio.items()]

    together = engine.scores(windows)
    engine.reset()
    alone = np.concatenate([engine.scores([window]) for window in windows])

    np.testing.assert_array_equal(together, alone)


def test_it_is_exported_again_as_it_was(copy: Path) -> None:
    before = len((copy / INT8).read_bytes())
    done = CliRunner().invoke(app, ["export", "--format", "int8", "--model", str(copy)])

    assert (done.exit_code, done.stdout.strip()) == (0, str(copy / INT8))
    assert len((copy / INT8).read_bytes()) == before
    assert describe(copy).tag == describe(SHIPPED).tag
    assert "8 bits" in opened(copy).runs_on


def test_a_bundle_that_was_not_exported_says_how(tiny_bundle: Path) -> None:
    with pytest.raises(BundleError, match="rtclassify export --format int8 --model"):
        opened(tiny_bundle)


def test_what_is_no_model_is_refused_even_with_a_digest_that_fits(copy: Path) -> None:
    (copy / INT8).write_bytes(b"TFL3")
    digest_again(copy)

    with pytest.raises(BundleError, match="is not what `rtclassify export` makes"):
        opened(copy)


def test_another_models_file_is_refused(tmp_path: Path) -> None:
    path = untrained(tmp_path / "tiny", window=16_000)
    add_file(describe(path), INT8, (SHIPPED / INT8).read_bytes())

    with pytest.raises(BundleError):
        opened(path)


def test_it_knows_no_gpu() -> None:
    with pytest.raises(UsageError, match="int8 knows no GPU"):
        open_engine(str(SHIPPED), hop_s=None, device="gpu", runtime="int8")
