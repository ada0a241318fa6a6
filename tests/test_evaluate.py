"""`rtclassify evaluate` as a person runs it: table, JSON, the report, comparisons, refusals."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from test_engine import untrained
from typer.testing import CliRunner, Result

from rtclassify import bundle
from rtclassify.cli import app, scoreboard
from rtclassify.errors import RtclassifyError

RATE = 16_000
VOID = {"meta", "img", "br"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two long recordings of each kind and a handful of short ones."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    times = np.arange(7 * RATE) / RATE
    sounds = {
        "speech": rng.normal(0, 0.1, times.shape) * (np.sin(2 * np.pi * 3 * times) > 0),
        "music": 0.2 * np.sin(2 * np.pi * 440 * times),
        "noise": rng.normal(0, 0.05, times.shape),
    }
    for kind, sound in sounds.items():
        (folder / kind).mkdir()
        for number in range(2):
            soundfile.write(folder / kind / f"{kind}-{number}.wav", sound, RATE)
        soundfile.write(folder / kind / f"short-{kind}.wav", sound[:RATE], RATE)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def evaluate(*arguments: object) -> Result:
    runner = CliRunner(env={"COLUMNS": "100"})
    return runner.invoke(app, ["evaluate", *map(str, arguments)])


def refusal(*arguments: object) -> RtclassifyError:
    error = evaluate(*arguments).exception
    assert isinstance(error, RtclassifyError)
    return error


class Reader(HTMLParser):
    """Checks that tags nest, and collects what a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Called for tags that close themselves as well."""
        assert self.open.pop() == tag


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text("utf-8"))
    assert reader.open == []
    return reader


def test_a_person_gets_a_table_a_program_json_and_both_agree(
    tiny_bundle: Path, data: Path, tmp_path: Path
) -> None:
    result = evaluate(tiny_bundle, data, "--json", tmp_path / "figures.json")

    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads((tmp_path / "figures.json").read_text())
    assert report["all"]["recordings"] == 9
    assert report["all"]["hours"] * 3600 == pytest.approx(6 * 7 + 3 * 1.3)
    assert set(report["by_source"]) == {"speech", "music", "noise"}
    assert f"{report['all']['balanced_error']:.1%}" in result.output
    for source, group in report["by_source"].items():
        row = [line for line in result.output.splitlines() if line.startswith(source + " ")][-1]
        assert f"{100 * group['frame_error']:.1f}" in row
    assert report["cpu_s_per_hour"] > 0


def test_the_report_stands_alone_and_its_tags_nest(
    tiny_bundle: Path, data: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"

    assert evaluate(tiny_bundle, data, "--html", page).exit_code == 0

    reader = read(page)
    assert reader.fetched
    assert all(address.startswith("data:") for address in reader.fetched)
    assert "url(" not in page.read_text()
    assert reader.tags.count("img") == reader.tags.count("audio") == 9
    assert "script" not in reader.tags


def test_two_models_stand_side_by_side(tiny_bundle: Path, data: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "report.html", tmp_path / "figures.json"

    result = evaluate(
        tiny_bundle, data, "--compare", tiny_bundle, "--html", page, "--json", figures
    )

    assert result.exit_code == 0, result.output
    compared = json.loads(figures.read_text())["comparison"]["all"]
    assert compared["balanced_error"]["difference"] == {"value": 0.0, "interval": [0.0, 0.0]}
    assert "95 % between" in result.output
    assert "B – A" in page.read_text()
    read(page)


def test_labels_that_are_right_have_no_error(data: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    rows = [f"{p.name},0,7,{p.parent.name}" for p in data.rglob("*.wav")]
    labels.write_text("\n".join(["path,start,end,label", *rows]))

    result = evaluate(data, "--labels", labels, "--json", tmp_path / "figures.json")

    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "figures.json").read_text())
    assert report["model"] == "labels.csv"
    assert report["all"]["frame_error"] == report["all"]["balanced_error"] == 0.0
    assert report["cpu_s_per_hour"] is None


@pytest.fixture(scope="module")
def decided_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model none of whose answers is near one half, where a hop's mean could change sides."""
    known = bundle.load(tiny_bundle)
    answers = known.model.get_layer("head").get_layer("answers")
    weights, bias = answers.get_weights()
    answers.set_weights([weights / 10, bias + np.array([3.0, -3.0], np.float32)])
    path = tmp_path_factory.mktemp("bundles") / "decided"
    bundle.save(
        path, model=known.model, frontend=known.frontend, network=known.network,
        labels=("speech", "music"), tails_s=(0.0, 0.0), data={}, metrics={}, card="decided",
    )  # fmt: skip
    return path


def test_what_classify_writes_is_judged_like_the_model_itself(
    decided_bundle: Path, data: Path, tmp_path: Path
) -> None:
    """Long recordings alone: short ones are strung together for a model, and not in a file."""
    folder = tmp_path / "long"
    for path in data.rglob("*-?.wav"):
        (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
        (folder / path.parent.name / path.name).symlink_to(path)
    written = tmp_path / "said.jsonl"
    files = sorted(folder.rglob("*.wav"))
    said = CliRunner().invoke(
        app, ["classify", *map(str, files), "--model", str(decided_bundle), "-o", str(written)]
    )
    assert said.exit_code == 0, said.output

    result = evaluate(
        decided_bundle, folder, "--labels", written, "--json", tmp_path / "figures.json"
    )

    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "figures.json").read_text())
    assert report["other"]["model"] == "said.jsonl"
    for name, sides in report["comparison"]["all"].items():
        assert sides["difference"]["value"] in (None, pytest.approx(0.0, abs=1e-9)), name


def test_a_condition_changes_the_audio_and_not_the_truth(
    tiny_bundle: Path, data: Path, tmp_path: Path
) -> None:
    result = evaluate(
        tiny_bundle, data, "--conditions", "clean,quiet", "--json", tmp_path / "figures.json"
    )

    assert result.exit_code == 0, result.output
    report = json.loads((tmp_path / "figures.json").read_text())
    minutes = [group["hours"] for group in report["by_condition"].values()]
    assert "quiet" in report["by_condition"]
    assert report["by_condition"]["quiet"]["hours"] == pytest.approx(sum(minutes) / 2)


def test_impossible_wishes_are_refused_in_a_sentence(
    tiny_bundle: Path, data: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("start,end,label\n0,1,speech\n")
    wishes = {
        (tiny_bundle,): (2, "There is no DATA"),
        (tiny_bundle, data, "--conditions", "underwater"): (2, "no condition 'underwater'"),
        (data, "--labels", labels, "--conditions", "quiet"): (2, "leave out --conditions"),
        (tiny_bundle, data, "--labels", labels, "--compare", "x"): (2, "compare two at a time"),
        ("nobody", data): (5, "no model 'nobody'"),
        (tiny_bundle, tmp_path / "nothing"): (7, "does not exist"),
        (data, "--labels", tmp_path / "none.csv"): (7, "holds no labels"),
        (data, "--labels", labels): (7, "has no labels for"),
    }
    for wish, (code, sentence) in wishes.items():
        error = refusal(*wish)
        assert (error.exit_code, sentence in str(error)) == (code, True), error


def test_models_that_hear_at_different_rates_are_not_compared(
    tiny_bundle: Path, data: Path, tmp_path: Path
) -> None:
    other = untrained(tmp_path / "other", "article", "article")

    assert "22,050 Hz" in str(refusal(tiny_bundle, data, "--compare", other))


def test_a_report_that_cannot_be_written_says_so(tiny_bundle: Path, data: Path) -> None:
    error = refusal(tiny_bundle, data, "--json", data / "missing" / "figures.json")

    assert "cannot be written" in str(error)


def test_every_headline_has_a_name_of_its_own() -> None:
    assert set(scoreboard.NAMES) == set(scoreboard.SHORT)
