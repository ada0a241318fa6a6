"""An interface of 64 inputs, as MADI and Dante have them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

LISTEN = """
import sys
import numpy as np
from rigs.hearing import Hearing, check_indices
from rigs.jack import CARD, CHANNELS, RATE
from rtclassify.config import ChannelSettings
from rtclassify.sources.cards import list_cards

names = [f"c{number}" for number in range(CHANNELS)]
channels = [ChannelSettings(name, CARD, (number + 1,)) for number, name in enumerate(names)]
with Hearing(*channels, rate=RATE) as hearing:
    hearing.until(lambda: hearing.heard_s(names[-1], rate=RATE) > 1.0)
assert len(hearing.sources) == 1
ends = {check_indices(hearing.items, name) for name in names}
assert len(ends) == 1, ends
assert not any(map(hearing.gaps, names))
assert "PortAudio" in [card.name for card in list_cards()]
np.save(sys.argv[1], np.stack([hearing.audio(name) for name in names], axis=1))
"""


@pytest.mark.rig
def test_each_of_64_inputs_comes_out_on_its_own_channel_bit_for_bit(
    jack: NDArray[np.int16], tmp_path: Path
) -> None:
    """One callback delivers them all, so they are in step for ever."""
    file = tmp_path / "heard.npy"
    done = subprocess.run(
        [sys.executable, "-c", LISTEN, str(file)], cwd=Path(__file__).parent,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    heard = np.round(np.load(file) * 32768).astype(np.int16)
    (start,) = [s for s in np.flatnonzero(jack[:, 0] == heard[0, 0]) if jack[s, 1] == heard[0, 1]]
    assert np.array_equal(heard, jack.take(range(start, start + len(heard)), axis=0, mode="wrap"))
