"""How soon ``rtclassify --help`` answers: the best of ten, because a busy machine only adds.

python benchmarks/help_speed.py
"""

from __future__ import annotations

import subprocess
import sys
import time

RUNS = 10


def main() -> None:
    """Measure and print."""
    took_s = []
    for _ in range(RUNS):
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "rtclassify", "--help"], stdout=subprocess.DEVNULL, check=True
        )
        took_s.append(time.monotonic() - began)
    print(f"--help: {min(took_s):.2f} s")


if __name__ == "__main__":
    main()
