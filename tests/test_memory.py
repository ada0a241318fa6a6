"""A process that has loaded everything wastes no time on memory."""

from __future__ import annotations

import gc
import resource
import sys

import numpy as np
import pytest

from rtclassify.memory import SELDOM, loaded_for_good

MEGABYTES = 8


def test_the_garbage_collector_is_as_it_was_after_labelling() -> None:
    before = gc.get_threshold(), gc.get_freeze_count()

    with loaded_for_good():
        assert gc.get_threshold()[0] == SELDOM
        assert gc.get_freeze_count() > before[1]

    assert (gc.get_threshold(), gc.get_freeze_count()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries are not told")
def test_what_was_freed_is_used_again() -> None:
    """Each page that is given back would be a fault when it is asked for again."""
    with loaded_for_good():
        _work()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(20):
            _work()
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    assert faults < 20 * MEGABYTES


def _work() -> None:
    """Use arrays of a megabyte and free them."""
    held = [np.ones(1 << 20, np.uint8) for _ in range(MEGABYTES)]
    del held
