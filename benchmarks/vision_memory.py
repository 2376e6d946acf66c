"""Is the vision process flat in memory? The real worker on looped frames, its memory read each second.

    python -m benchmarks.vision_memory [--seconds 300] [--engine onnx] [--json] [--samples FILE]

The real client starts the real worker with the real engine on a looped video (two people who come and
go before a noisy wall), publishes a new gallery every ten seconds and enrols from the camera every
thirty. After a warm-up (allocators fill their pools) the memory of the first and the last fifth are
compared: flat means a ratio of at most 1.02. Exit code 1 when it is not. Beside it stands the slope, with
its 95 % interval: a straight line through the medians of ten-second pieces, whole pieces of the rest drawn again.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway.vision import threads

threads.one()

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from gateway.clock import SystemClock  # noqa: E402
from gateway.config import schema  # noqa: E402
from gateway.errors import LoumenError, VisionDown  # noqa: E402
from gateway.vision import demo_faces  # noqa: E402
from gateway.vision.client import VisionClient  # noqa: E402

if TYPE_CHECKING:
    from gateway.vision.protocol import Candidates

Engine = Literal["onnx", "face-recognition"]

FLAT = 1.02
WARM_UP = 20  # seconds; at most a fifth of the run


def film(path: Path, pictures: list[Path]) -> None:
    """Each person walks from left to right before a noisy wall, then the wall is empty for a while."""
    random = np.random.default_rng(1)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15, (640, 480))
    for picture in pictures:
        face = cv2.imread(str(picture))
        assert face is not None
        face = cv2.resize(face, (300, 300 * face.shape[0] // face.shape[1]))[:440]
        for step in range(90):
            frame = np.clip(random.normal(96, 5, (480, 640, 3)), 0, 255).astype(np.uint8)
            if step < 60:
                left = 5 * step
                frame[20 : 20 + face.shape[0], left : left + face.shape[1]] = face
            writer.write(frame)
    writer.release()


async def measure(
    folder: Path, seconds: int, engine: Literal["onnx", "face-recognition"]
) -> tuple[list[int], int, int]:
    """The worker's memory each second in kB, candidates heard, and how often it was restarted."""
    told: list[Candidates] = []
    output = schema.SimulatedOutput(line=1)
    client = VisionClient(
        schema.Vision(engine=engine),
        {"porch": schema.FileCamera(path=str(folder / "film.avi"), loop=True)},
        {"front": schema.Door(name="front", lock=schema.Lock(output=output), camera="porch")},
        folder / "run",
        SystemClock(),
        on_candidates=told.append,
        on_presence=lambda _presence: None,
        note=lambda _event: None,
    )
    task = asyncio.create_task(client.run())
    random = np.random.default_rng(2)
    memory: list[int] = []
    try:
        async with asyncio.timeout(60):
            while client.status().state != "up":  # noqa: ASYNC110  (a look each second is what is measured)
                await asyncio.sleep(1)
        for second in range(seconds):
            if second % 10 == 0:
                people = [(f"p{n}", random.normal(0, 0.1, 128).astype("<f4").tobytes()) for n in range(200)]
                await client.publish_gallery("front", people)
            if second % 30 == 15:
                with suppress(VisionDown):
                    await client.enrol(camera="porch", seconds=0.9)
            await asyncio.sleep(1)
            memory.append(client.status().resident_kb)
        return memory, len(told), client.status().restarts
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def slope(memory: list[int], pieces: int = 30, seed: int = 3) -> tuple[float, float, float]:
    """MB an hour of the memory each second (kB), and the 95 % interval.

    What is left of the line is drawn again in runs, because what a second shows the next one shows too.
    """
    medians = np.array([statistics.median(memory[at : at + 10]) for at in range(0, len(memory) - 9, 10)]) / 1024
    hours = np.arange(len(medians)) * 10 / 3600
    line = np.polyfit(hours, medians, 1)
    rest = medians - np.polyval(line, hours)
    run, random = max(1, len(medians) // pieces), np.random.default_rng(seed)
    drawn = []
    for _ in range(400):
        starts = random.integers(0, len(rest) - run + 1, -(-len(rest) // run))
        noise = np.concatenate([rest[start : start + run] for start in starts])[: len(rest)]
        drawn.append(np.polyfit(hours, np.polyval(line, hours) + noise, 1)[0])
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist()
    return float(line[0]), low, high


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--engine", choices=("onnx", "face-recognition"), default="onnx")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--samples", type=Path, help="write the memory of each second, in kB, a line each")
    given = parser.parse_args()
    if given.seconds < 60:
        parser.error("a slope needs at least 60 seconds")
    try:
        pictures = [demo_faces.resident_pictures()[0], demo_faces.stranger_pictures()[0]]
    except LoumenError as error:
        print(f"not measured: {error}")
        return 0
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        film(Path(folder) / "film.avi", pictures)
        memory, candidates, restarts = asyncio.run(measure(Path(folder), given.seconds, given.engine))
    if given.samples:
        given.samples.write_text("".join(f"{each}\n" for each in memory), "ascii")
    kept = memory[min(WARM_UP, len(memory) // 5) :]
    fifth = max(1, len(kept) // 5)
    first, last = statistics.median(kept[:fifth]), statistics.median(kept[-fifth:])
    rising, low, high = slope(kept)
    found = {
        "seconds": given.seconds,
        "engine": given.engine,
        "candidates": candidates,
        "restarts": restarts,
        "first_mb": round(first / 1024, 1),
        "last_mb": round(last / 1024, 1),
        "peak_mb": round(max(kept) / 1024, 1),
        "ratio": round(last / first, 4),
        "mb_an_hour": round(rising, 2),
        "mb_an_hour_interval": (round(low, 2), round(high, 2)),
        "flat": last / first <= FLAT and not restarts and candidates > 0,
        "machine": platform.platform(),
    }
    if given.json:
        print(json.dumps(found))
    else:
        print(
            f"vision process ({given.engine}) over {given.seconds} s of looped frames ({candidates} candidates told):"
        )
        print(f"  {found['first_mb']} MB after warm-up, {found['last_mb']} MB at the end: ratio {found['ratio']}")
        print(f"  slope {rising:+.2f} MB an hour ({low:+.2f} to {high:+.2f})")
        print(f"  peak {found['peak_mb']} MB, {restarts} restarts: {'flat' if found['flat'] else 'NOT FLAT'}")
    return 0 if found["flat"] else 1


if __name__ == "__main__":
    sys.exit(main())
