"""The built-in programme: a minute of speech, music, both, rain and silence.

Made by ``scripts/make-demo``; what it holds and who made it stands in ``DEMO.md`` beside it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rtclassify.sources import Request
from rtclassify.sources.file import FileSource

CLIP = Path(__file__).with_name("demo.ogg")


class DemoSource(FileSource):
    """The programme, looped for ever when live and played once when not."""

    def __init__(self, request: Request) -> None:
        super().__init__(replace(request, name=str(CLIP)), loop=request.live)
