"""The real worker process around the double engine; $LOUMEN_DOUBLE makes it misbehave.

leak: each find keeps 20 MB · hang: the third find never returns · slow: loading takes 0.3 s
garbage: says what is no message · garbage-once: only the first time ($LOUMEN_DOUBLE_ONCE is made)
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from pathlib import Path

import numpy as np

from gateway.vision import worker
from gateway.vision.engine import Face, Frame
from gateway.vision.part import FacePart
from gateway.vision.settings import Settings
from tests.vision.double import DoubleEngine, computing

MODE = os.environ.get("LOUMEN_DOUBLE", "")


class Misbehaving(DoubleEngine):
    def __init__(self) -> None:
        super().__init__()
        self.kept: list[object] = []

    def find(self, frame: Frame) -> list[Face]:
        if MODE == "leak":
            self.kept.append(np.ones(20 * 1024 * 1024, np.uint8))
        if MODE == "hang" and self.found >= 2:
            threading.Event().wait()
        return super().find(frame)


def load(settings: Settings) -> FacePart:
    return FacePart(settings, computing(Misbehaving()))


def speak_garbage(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as to:
        to.connect(path)
        to.sendall(b"\xff" * 64)
        to.recv(1)


if __name__ == "__main__":
    once = os.environ.get("LOUMEN_DOUBLE_ONCE", "")
    if MODE == "garbage" or (MODE == "garbage-once" and not Path(once).exists()):
        if once:
            Path(once).touch()
        speak_garbage(sys.argv[sys.argv.index("--socket") + 1])
        signal.pause()
    code = worker.main(load=load)
    sys.stderr.flush()
    os._exit(code)
