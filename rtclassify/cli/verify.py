"""``rtclassify verify``: whether a journal is what was written to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

MEANING = """\
This proves that between the oldest and the newest message kept nothing was changed, put in or \
taken out by anyone who did not compute all digests after it anew.
It does not prove that nobody did that, or cut messages off either end together with their marks: \
to rule it out as well, publish the head of each day where it cannot be changed, and compare."""


def verify(
    journal: Annotated[Path, typer.Argument(help="The file that [journal] in the settings names.")],
) -> None:
    """Check that nobody changed a journal.

    Prints the head of each UTC day. Exit code 0: nothing was changed, put in or taken out;
    9: something was, or the file is damaged; 2: there is no journal.
    """
    from rtclassify.sinks import proof

    for day in proof.verify(journal):
        beginning = "whole" if day.whole else "its beginning was removed"
        print(f"{day.day}  {day.head}  {day.messages:,} messages, {beginning}")
    print(MEANING)
