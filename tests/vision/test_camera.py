"""Cameras through OpenCV: files, folders, streams and devices that fail. No real V4L2 device exists here:
its driver is shown to fail well; the capture code it shares with files and streams is shown to work."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from drivers import camera as cameras
from drivers.camera import FileCamera, FolderCamera, RtspCamera, V4l2Camera
from drivers.errors import CameraGone
from drivers.grabber import LONGEST, Grabber, bounded
from drivers.interfaces import CameraDriver
from gateway.vision.engine import Frame
from tests.vision.double import BLUE, RED, scene
from tests.vision.running import put

SHORT = 1.0


@pytest.fixture
def opened() -> Iterator[Callable[[CameraDriver], CameraDriver]]:
    """Closes every camera at the end."""
    all_of_them: list[CameraDriver] = []

    def keep(camera: CameraDriver) -> CameraDriver:
        all_of_them.append(camera)
        return camera

    yield keep
    for camera in all_of_them:
        camera.close()


Opened = Callable[[CameraDriver], CameraDriver]


def video(path: Path, colours: list[tuple[int, int, int]], size: tuple[int, int] = (240, 320)) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15, (size[1], size[0]))
    for colour in colours:
        writer.write(np.full((*size, 3), colour, np.uint8))
    writer.release()
    return path


def colour(frame: Frame | None) -> tuple[int, int, int]:
    assert frame is not None
    blue, green, red = (int(value) for value in frame[frame.shape[0] // 2, frame.shape[1] // 2])
    return blue, green, red


def near(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
    return all(abs(x - y) < 25 for x, y in zip(a, b, strict=True))


def frames_until(camera: CameraDriver, wanted: Callable[[Frame], bool], within: float = 15.0) -> list[Frame]:
    seen: list[Frame] = []
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        frame = camera.read()
        assert frame is not None
        seen.append(frame)
        if wanted(frame):
            return seen
    pytest.fail(f"not seen in {len(seen)} frames")


# --- files


def test_a_video_is_played_to_its_end(tmp_path: Path, opened: Opened) -> None:
    path = video(tmp_path / "v.avi", [RED] * 5 + [BLUE] * 5)
    camera = opened(FileCamera(path=str(path), fps=30, loop=False, time_out=5))
    seen = []
    while (frame := camera.read()) is not None:
        seen.append(colour(frame))
    assert seen
    assert near(seen[-1], BLUE)
    assert camera.read() is None


def test_a_looped_video_begins_again(tmp_path: Path, opened: Opened) -> None:
    path = video(tmp_path / "v.avi", [RED] * 6 + [BLUE] * 6)
    camera = opened(FileCamera(path=str(path), fps=60, loop=True, time_out=5))
    for wanted in (BLUE, RED, BLUE, RED):
        frames_until(camera, lambda frame, wanted=wanted: near(colour(frame), wanted))  # type: ignore[misc]


@pytest.mark.parametrize(
    ("content", "says"), [(None, "cannot be read"), (b"", "0 bytes"), (b"noise" * 999, "cannot be played")]
)
def test_a_video_that_is_none_says_what_to_do(tmp_path: Path, opened: Opened, content: bytes | None, says: str) -> None:
    path = tmp_path / "v.mp4"
    if content is not None:
        path.write_bytes(content)
    camera = opened(FileCamera(path=str(path), fps=30, loop=True, time_out=5))
    for _ in range(2):  # each read tries again
        with pytest.raises(CameraGone, match=says) as gone:
            camera.read()
        assert gone.value.where == str(path)
        assert gone.value.mend


def test_a_video_that_appears_later_is_opened_then(tmp_path: Path, opened: Opened) -> None:
    camera = opened(FileCamera(path=str(tmp_path / "v.avi"), fps=30, loop=True, time_out=5))
    with pytest.raises(CameraGone):
        camera.read()
    video(tmp_path / "v.avi", [RED] * 10)
    assert near(colour(camera.read()), RED)


# --- folders


def test_pictures_are_played_in_the_order_of_their_names(tmp_path: Path, opened: Opened) -> None:
    put(tmp_path, "b", scene((BLUE, 200, 150), side=300))
    put(tmp_path, "a", scene((RED, 200, 150), side=300))
    camera = opened(FolderCamera(path=str(tmp_path), fps=60, time_out=5))
    seen = frames_until(camera, lambda frame: near(colour(frame), BLUE))
    order = [colour(frame) for frame in seen]
    first_red = next(n for n, this in enumerate(order) if near(this, RED))
    assert first_red == 0
    assert any(near(this, (96, 96, 96)) for this in order[first_red:])  # nobody between two people


def test_a_picture_that_appears_is_played_and_a_touched_one_again(tmp_path: Path, opened: Opened) -> None:
    camera = opened(FolderCamera(path=str(tmp_path), fps=60, time_out=5))
    assert near(colour(camera.read()), (96, 96, 96))
    path = put(tmp_path, "a", scene((RED, 200, 150), side=300))
    frames_until(camera, lambda frame: near(colour(frame), RED))
    frames_until(camera, lambda frame: near(colour(frame), (96, 96, 96)))
    os.utime(path, (1, 1))
    frames_until(camera, lambda frame: near(colour(frame), RED))


def test_a_damaged_picture_is_told_once_and_left_out(tmp_path: Path, opened: Opened) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    (tmp_path / "b.jpg").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("no picture")
    put(tmp_path, "c", scene((RED, 200, 150), side=300))
    camera = opened(FolderCamera(path=str(tmp_path), fps=60, time_out=5))
    for name in ("a.png", "b.jpg"):
        with pytest.raises(CameraGone) as gone:
            frames_until(camera, lambda _: False)
        assert gone.value.where.endswith(name)
        assert gone.value.mend
    frames_until(camera, lambda frame: near(colour(frame), RED))


def test_a_folder_that_vanishes_and_comes_back(tmp_path: Path, opened: Opened) -> None:
    folder = tmp_path / "porch"
    folder.mkdir()
    camera = opened(FolderCamera(path=str(folder), fps=60, time_out=5))
    assert camera.read() is not None
    folder.rmdir()
    with pytest.raises(CameraGone, match="No such file"):
        frames_until(camera, lambda _: False)
    folder.mkdir()
    assert camera.read() is not None


def test_a_picture_of_100_mb_is_not_read(tmp_path: Path, opened: Opened) -> None:
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    camera = opened(FolderCamera(path=str(tmp_path), fps=60, time_out=5))
    with pytest.raises(CameraGone, match="100 MB"):
        frames_until(camera, lambda _: False)


def test_a_small_file_that_would_unfold_to_gigabytes_is_refused(tmp_path: Path) -> None:
    """In a process of its own: OpenCV reads its limit once, and here another test may have been first."""
    program = (
        "import struct, zlib, sys\n"
        "from pathlib import Path\n"
        "from drivers.pictures import read_picture\n"
        "from drivers.errors import CameraGone\n"
        "def chunk(kind, data):\n"
        "    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))\n"
        "head = struct.pack('>IIBBBBB', 30000, 30000, 8, 2, 0, 0, 0)\n"
        "png = b'\\x89PNG\\r\\n\\x1a\\n' + chunk(b'IHDR', head) + chunk(b'IDAT', zlib.compress(bytes(10**6)))\n"
        "Path(sys.argv[1]).write_bytes(png + chunk(b'IEND', b''))\n"
        "import resource\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    read_picture(Path(sys.argv[1]))\n"
        "except CameraGone as gone:\n"
        "    print('refused:', gone)\n"
        "print('grew', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "bomb.png")], capture_output=True, text=True, check=True
    )
    assert "refused:" in done.stdout
    assert int(done.stdout.split("grew ")[1]) < 50_000  # kB


def test_a_frame_is_never_larger_than_the_bound(tmp_path: Path, opened: Opened) -> None:
    put(tmp_path, "a", scene((RED, 1000, 1000), size=(2400, 3600), side=400))
    camera = opened(FolderCamera(path=str(tmp_path), fps=60, time_out=5))
    frame = frames_until(camera, lambda frame: max(frame.shape) != 640)[-1]
    assert frame.shape == (1280, LONGEST, 3)
    assert bounded(np.zeros((100, 5000), np.uint8)).shape == (38, 1920, 3)
    for shape in ((1, 5000), (31, 100), (60, 5000)):
        with pytest.raises(CameraGone, match="shows nothing"):
            bounded(np.zeros(shape, np.uint8))


# --- devices and streams


def device(path: str | Path) -> V4l2Camera:
    return V4l2Camera(device=str(path), width=640, height=480, fps=15, time_out=5)


def test_a_device_that_is_not_there(opened: Opened) -> None:
    camera = opened(device("/dev/video-none"))
    with pytest.raises(CameraGone, match="no camera at /dev/video-none") as gone:
        camera.read()
    assert "by-id" in gone.value.mend


def test_a_file_is_no_device(tmp_path: Path, opened: Opened) -> None:
    camera = opened(device(video(tmp_path / "v.avi", [RED])))
    with pytest.raises(CameraGone, match="not a device"):
        camera.read()


def test_a_device_that_is_no_camera(opened: Opened) -> None:
    camera = opened(device("/dev/null"))
    with pytest.raises(CameraGone, match="could not be opened"):
        camera.read()


@pytest.mark.parametrize("url", ["rtsp://user:secret@127.0.0.1:{port}/s", "file:///etc/passwd", "front door"])
def test_a_stream_that_is_not_there_never_tells_its_password(opened: Opened, url: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        camera = opened(RtspCamera(url=url.format(port=unused.getsockname()[1]), time_out=5))
        with pytest.raises(CameraGone) as gone:
            camera.read()
    assert "secret" not in gone.value.render()


def test_a_stream_that_accepts_and_says_nothing_costs_its_time_out_only(opened: Opened) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        camera = opened(RtspCamera(url=f"rtsp://127.0.0.1:{mute.getsockname()[1]}/s", time_out=SHORT))
        begun = time.monotonic()
        with pytest.raises(CameraGone):
            camera.read()
        assert time.monotonic() - begun < SHORT + 2


class MotionJpeg(http.server.BaseHTTPRequestHandler):
    """A network camera: pictures, then a dead line, then pictures, then the end."""

    more = threading.Event()
    cut = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for _ in range(200):  # FFmpeg wants to see some seconds of it before it opens
            self.picture(RED)
        self.more.wait(20)
        while not self.cut.is_set():
            self.picture(BLUE)
            self.cut.wait(0.05)

    def picture(self, colour: tuple[int, int, int]) -> None:
        jpeg = cv2.imencode(".jpg", np.full((240, 320, 3), colour, np.uint8))[1].tobytes()
        self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg))
        self.wfile.write(jpeg + b"\r\n")

    def log_message(self, *_: object) -> None:
        pass


def test_a_network_camera_that_stalls_goes_on_and_is_cut(opened: Opened) -> None:
    MotionJpeg.more.clear()
    MotionJpeg.cut.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), MotionJpeg) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        camera = opened(RtspCamera(url=f"http://127.0.0.1:{server.server_port}/v.mjpg", time_out=3))
        assert near(colour(camera.read()), RED)
        with pytest.raises(CameraGone):
            frames_until(camera, lambda _: False)
        MotionJpeg.more.set()
        with suppress(CameraGone):  # FFmpeg may see the stall after the reader did
            camera.read()
        frames_until(camera, lambda frame: near(colour(frame), BLUE))
        MotionJpeg.cut.set()
        with pytest.raises(CameraGone):
            frames_until(camera, lambda _: False)
        server.shutdown()


# --- the grabber


class Stuck:
    """A device whose driver never returns, until it is let go."""

    def __init__(self, where: str) -> None:
        self.where, self.let_go = where, threading.Event()

    def open(self) -> None:
        if self.where == "open":
            self.let_go.wait()

    def advance(self) -> bool:
        self.let_go.wait()
        return False

    def frame(self) -> Frame:
        raise AssertionError

    def close(self) -> None: ...


@pytest.mark.parametrize("where", ["open", "advance"])
def test_a_read_never_waits_longer_than_its_time_out(where: str) -> None:
    source = Stuck(where)
    camera = Grabber("stuck", source, 0.2)
    for _ in range(2):
        begun = time.monotonic()
        with pytest.raises(CameraGone, match=r"no picture for 0\.2 seconds"):
            camera.read()
        assert 0.2 <= time.monotonic() - begun < 1.0
    camera.close()
    source.let_go.set()


class Numbered:
    """Each frame is its number; how many were decoded is counted."""

    def __init__(self) -> None:
        self.number = self.decoded = 0
        self.may = threading.Semaphore(0)
        self.reached = threading.Condition()

    def open(self) -> None: ...

    def advance(self) -> bool:
        self.may.acquire()
        with self.reached:
            self.number += 1
            self.reached.notify_all()
        return True

    def frame(self) -> Frame:
        self.decoded += 1
        return np.full((48, 48, 3), self.number, np.uint8)

    def close(self) -> None: ...


def test_a_slow_reader_gets_the_newest_frame_and_nothing_is_decoded_for_nobody() -> None:
    source = Numbered()
    camera = Grabber("numbered", source, 5)
    source.may.release(50)
    with source.reached:
        assert source.reached.wait_for(lambda: source.number == 50, 10)
    assert source.decoded == 0
    threading.Timer(0.1, source.may.release, [3]).start()
    frame = camera.read()
    assert frame is not None
    assert frame[0, 0, 0] > 50
    with source.reached:
        assert source.reached.wait_for(lambda: source.number == 53, 10)
    assert source.decoded == 1
    camera.close()
    source.may.release()


def test_a_password_is_masked() -> None:
    assert cameras.masked("rtsp://user:pa@ss@10.0.0.2/live") == "rtsp://10.0.0.2/live"
    assert cameras.masked("rtsp://10.0.0.2/live") == "rtsp://10.0.0.2/live"
