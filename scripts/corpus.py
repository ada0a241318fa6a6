"""Fetch, unpack and verify the recordings that the shipped model is trained on.

Most of them are carried by Debian packages (corpus/catalog.tsv names every file), the rest by
public repositories (corpus/pack.tsv names commits and licences). The result is a folder with a
``corpus.tsv`` that ``rtclassify train`` takes. Every step that is done already is skipped, so an
interrupted run is resumed by running it again.

    scripts/corpus FOLDER              fetch everything, the repositories by git
    scripts/corpus FOLDER --pack DIR   take the repositories' recordings from a folder instead

What `scripts/voices FOLDER` has made is listed as well.
"""

from __future__ import annotations

import argparse
import csv
import re
import shutil
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import soundfile

HERE = Path(__file__).resolve().parent.parent / "corpus"
LABELS = {"speech": "speech", "music": "music", "singing": "music", "noise": "other"}
# Validation takes whole sources, never part of one, so that no voice or artist is on both sides.
PACK_VALIDATION = {
    "speech/ami_meetings",
    "speech/librispeech_librosa",
    "singing/karissa_hobbs",
    "singing/vocadito",
    "music/librosa_music",
    "music/mdn_webaudio",  # shares an artist with librosa_music
    "noise/librosa_nature",
    "noise/sms_tools",
    "noise/mdn_crowd",
}
SOUNDS = {".wav", ".ogg", ".mp3", ".flac"}
# Files without a header: bytes that hold one second.
RAW_BYTES_PER_S = {".g722": 8000.0, ".gsm": 1650.0}
# The end of the names in tuxpaint-stamps-default.
LANGUAGE = re.compile(r"_([a-z]{2}(?:_[A-Za-z]{2})?)$")
# Packages whose music is sung throughout; training draws sung music by itself.
SUNG = {"marsshooter-data"}
# The voice of a file, where a package holds several: its language or role in the path.
VOICE_FOLDERS = {"klettres-data": 3, "ktuberling-data": 4, "hedgewars-data": 7}


class Entry(NamedTuple):
    """A line of ``corpus.tsv``: a recording, or a part of one between two seconds."""

    path: str
    start: str
    end: str
    labels: str
    split: str
    source: str


def main() -> int:
    """Run the steps; the exit code is 1 if a catalogued recording is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to put everything (about 10 GB)")
    parser.add_argument("--pack", type=Path, help="a folder of class/source/*.flac")
    chosen = parser.parse_args()
    rows = read_tsv(HERE / "catalog.tsv")
    for package in sorted({row["package"] for row in rows}):
        unpack(package, fetch(package, chosen.folder / "debs"), chosen.folder / "unpacked")
    pack = chosen.folder / "pack"
    if chosen.pack:
        shutil.copytree(chosen.pack, pack, dirs_exist_ok=True)
    else:
        for group in read_tsv(HERE / "pack.tsv"):
            clone(group, chosen.folder / "repositories", pack)
    entries = [*catalog_entries(rows), *pack_entries(pack), *made_entries(chosen.folder / "voices")]
    kept = corrected(entries, read_tsv(HERE / "corrections.tsv"))
    used = {entry.path for entry in kept}
    problems = [
        f"{where(row)}: {what}"
        for row in rows
        if where(row) in used and (what := wrong(row, chosen.folder))
    ]
    for problem in problems:
        print(f"missing: {problem}", file=sys.stderr)
    listed = write_list(chosen.folder, kept)
    print(f"{listed} recordings in {chosen.folder / 'corpus.tsv'}, {len(problems)} missing.")
    return 1 if problems else 0


def read_tsv(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table with a heading."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def fetch(package: str, debs: Path) -> Path:
    """Return the package's file in `debs`, downloaded if it is not there yet."""
    debs.mkdir(parents=True, exist_ok=True)
    if not (found := sorted(debs.glob(f"{package}_*.deb"))):
        print(f"fetching {package}")
        subprocess.run(["apt-get", "download", package], cwd=debs, check=True)
        found = sorted(debs.glob(f"{package}_*.deb"))
    return found[-1]


def unpack(package: str, deb: Path, unpacked: Path) -> None:
    """Unpack `deb` into a folder of its name that appears only when it is whole."""
    folder = unpacked / package
    if folder.exists():
        return
    print(f"unpacking {package}")
    part = unpacked / f"{package}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    subprocess.run(["dpkg-deb", "-x", deb.resolve(), part.resolve()], check=True)
    inner = part / "_unpacked"
    inner.mkdir()
    for archive in part.rglob("*.pk3"):
        zipfile.ZipFile(archive).extractall(inner)
    for container in part.rglob("queen.1c"):
        for name, clip in queen_clips(container.read_bytes()):
            (inner / f"{name}.mp3").write_bytes(clip)
    part.rename(folder)


def queen_clips(container: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name and mp3 of every clip in the one container of flight-of-the-amazon-queen.

    The layout: ``QTBL``, a version, compression at byte 12, a big-endian count at 13, and from
    byte 15 entries of 21 bytes: name (12), bundle (1), offset (4), size (4).
    """
    if container[:4] != b"QTBL":
        raise ValueError("queen.1c does not begin with QTBL; the package has changed.")
    (count,) = struct.unpack_from(">H", container, 13)
    for entry in range(count):
        raw, _, offset, size = struct.unpack_from(">12sBII", container, 15 + 21 * entry)
        name = raw.rstrip(b"\0").decode("ascii")
        if name.upper().endswith(".SB"):
            yield name, container[offset : offset + size]


def clone(group: dict[str, str], repositories: Path, pack: Path) -> None:
    """Check out one group's files at its commit and copy them into the pack's layout."""
    target = pack / group["group"]
    if target.exists():
        return
    print(f"cloning {group['group']}")
    repository = repositories / group["group"]
    repository.mkdir(parents=True, exist_ok=True)
    git = ["git", "-C", str(repository)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run(
        [
            *git,
            "fetch",
            "-q",
            "--depth=1",
            "--filter=blob:none",
            group["source_repo"],
            group["commit"],
        ],
        check=True,
    )
    subprocess.run(
        [*git, "checkout", "-q", "FETCH_HEAD", "--", *group["paths"].split(" ; ")], check=True
    )
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for archive in repository.rglob("*.zip"):
        zipfile.ZipFile(archive).extractall(archive.with_suffix(""))
    for file in sorted(repository.rglob("*")):
        if file.suffix.lower() in SOUNDS and ".git" not in file.parts:
            name = "_".join(file.relative_to(repository).parts)
            shutil.copy(file, part / name)
    part.rename(target)


def where(row: dict[str, str]) -> str:
    """Return the path of a catalogued recording in the corpus folder."""
    return f"unpacked/{row['package']}/{row['path']}"


def corrected(entries: Iterable[Entry], rules: list[dict[str, str]]) -> list[Entry]:
    """Cut entries where corrections say so; leave out, or label anew, what they name.

    A rule names paths by a pattern and the labels that they have before. Without a beginning and
    an end it speaks of the whole recording.
    """
    kept: list[Entry] = []
    for entry in entries:
        mine = [rule for rule in rules if speaks_of(rule, entry)]
        pieces, begun = [], "0"
        for rule in sorted(mine, key=lambda rule: float(rule["start"] or 0)):
            if float(rule["start"] or 0) > float(begun):
                pieces.append(entry._replace(start=begun, end=rule["start"]))
            if rule["labels"]:
                new = entry._replace(start=rule["start"], end=rule["end"], labels=rule["labels"])
                pieces.append(new)
            begun = rule["end"]
            if not begun:
                break
        else:
            pieces.append(entry._replace(start=begun) if mine else entry)
        kept += pieces
    return kept


def speaks_of(rule: dict[str, str], entry: Entry) -> bool:
    """Say whether a correction is about a recording."""
    return rule["was"] == entry.labels and fnmatchcase(entry.path, rule["path"])


def wrong(row: dict[str, str], folder: Path) -> str:
    """Say what is wrong with a catalogued recording, or nothing."""
    path = folder / where(row)
    if not path.is_file():
        return "not in the package"
    if path.suffix in RAW_BYTES_PER_S:
        seconds = path.stat().st_size / RAW_BYTES_PER_S[path.suffix]
    else:
        try:
            seconds = soundfile.info(path).duration
        except soundfile.LibsndfileError as error:
            return str(error)
    wanted = float(row["seconds"])
    if abs(seconds - wanted) > max(0.25, 0.05 * wanted):
        return f"{seconds:.2f} s long where the catalog says {wanted:.2f} s"
    return ""


def voice(row: dict[str, str]) -> str:
    """Return the source of a catalogued recording: its package, and its voice where it has many."""
    package, parts = row["package"], Path(row["path"]).parts
    if row["class"] != "speech":
        return f"{package}-singing" if row["class"] == "music" and package in SUNG else package
    if package in VOICE_FOLDERS:
        return f"{package}/{parts[VOICE_FOLDERS[package]]}"
    if package == "tuxpaint-stamps-default":
        language = LANGUAGE.search(Path(row["path"]).stem)
        return f"{package}/{language[1] if language else 'en'}"
    return package


def catalog_entries(rows: list[dict[str, str]]) -> Iterator[Entry]:
    """Yield every catalogued recording."""
    for row in rows:
        yield Entry(where(row), "", "", LABELS[row["class"]], row["split"], voice(row))


def pack_entries(pack: Path) -> Iterator[Entry]:
    """Yield every recording of the pack."""
    for path in sorted(pack.glob("*/*/*")):
        kind, source = path.parts[-3:-1]
        if path.suffix.lower() in SOUNDS:
            split = "val" if f"{kind}/{source}" in PACK_VALIDATION else "train"
            name = f"{source}-{kind}" if kind == "singing" else source
            place = f"pack/{kind}/{source}/{path.name}"
            yield Entry(place, "", "", LABELS[kind], split, name)


def made_entries(voices: Path) -> Iterator[Entry]:
    """Yield what neural voices read and sang; none of it is held out."""
    for path in sorted(voices.glob("*/*/*.flac")):
        kind, group = path.parts[-3:-1]
        name = f"neural-{group}" + "-singing" * (kind == "singing")
        yield Entry(f"voices/{kind}/{group}/{path.name}", "", "", LABELS[kind], "train", name)


def write_list(folder: Path, entries: Iterable[Entry]) -> int:
    """Write ``corpus.tsv`` with the entries that are there; return how many that is."""
    kept = [entry for entry in entries if (folder / entry.path).is_file()]
    with (folder / "corpus.tsv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(Entry._fields)
        table.writerows(kept)
    return len(kept)


if __name__ == "__main__":
    sys.exit(main())
