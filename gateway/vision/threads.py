"""One core for one process: numerical libraries take every core unless they are told before they are loaded.

Call `one` before numpy is imported, first thing in a program's `main`. A vision process that spreads over
all cores steals them from the door.
"""

from __future__ import annotations

import os


def one() -> None:
    """Ask OpenBLAS and OpenMP for a single thread."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
