"""Native libraries greet on stderr while they load a model; on a terminal that is noise between our own lines."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """File descriptor 2 leads nowhere inside. Errors still come, as exceptions. Not for several threads at once."""
    try:
        kept = os.dup(2)
    except OSError:  # started without a stderr
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
