"""Films: what was written is opened again."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ExportError
from engine.io.images import read_rgb
from engine.io.video import check_video, writing_video

COLORS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (200, 140, 110), (255, 255, 255), (0, 0, 0)]


def flat(color: tuple[int, int, int], size: tuple[int, int] = (64, 48)) -> np.ndarray:
    return np.full((size[1], size[0], 3), color, np.uint8)


def test_an_mp4_has_its_size_length_rate_and_colours(tmp_path: Path) -> None:
    import av

    path = tmp_path / "new" / "film.mp4"
    with writing_video(path, (64, 48), 25) as write:
        for color in COLORS:
            write(flat(color))
        assert not path.exists()
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, stream.width, stream.height) == ("h264", "yuv420p", 64, 48)
        assert stream.average_rate == 25
        # ITU-T H.273: BT.709 primaries and matrix, sRGB transfer, limited range
        assert (context.color_primaries, context.color_trc, context.colorspace, context.color_range) == (1, 13, 1, 1)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        container.seek(0)
        luma = [np.frombuffer(frame.planes[0], np.uint8)[0] for frame in container.decode(stream)]
    assert len(frames) == len(COLORS)
    for frame, color in zip(frames, COLORS, strict=True):
        np.testing.assert_allclose(frame.reshape(-1, 3).mean(0), color, atol=3)
    # BT.709, 3.2: 16 + 219 (0.2126 R + 0.7152 G + 0.0722 B)
    wanted = 16 + 219 / 255 * (np.array(COLORS) @ (0.2126, 0.7152, 0.0722))
    np.testing.assert_allclose(luma, wanted, atol=2)
    assert [file.name for file in path.parent.iterdir()] == ["film.mp4"]


def test_a_folder_gets_numbered_pictures(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()  # an empty one is taken
    for folder in (tmp_path / "frames", tmp_path / "new" / "frames"):
        with writing_video(folder, (5, 3), 30) as write:
            for color in COLORS:
                write(flat(color, (5, 3)))
        assert sorted(file.name for file in folder.iterdir()) == [f"frame_{n:04d}.png" for n in range(1, 7)]
        np.testing.assert_array_equal(read_rgb(folder / "frame_0004.png"), flat(COLORS[3], (5, 3)))


@pytest.mark.parametrize("name", ["film.mp4", "frames"])
def test_a_film_that_ends_early_leaves_what_was_there(tmp_path: Path, name: str) -> None:
    if name.endswith("mp4"):
        (tmp_path / name).write_bytes(b"old")

    def stop_early() -> None:
        with writing_video(tmp_path / name, (64, 48), 25) as write:
            write(flat(COLORS[0]))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_early()
    assert [file.name for file in tmp_path.iterdir()] == (["film.mp4"] if name.endswith("mp4") else [])
    assert not (tmp_path / name).exists() or (tmp_path / name).read_bytes() == b"old"


@pytest.mark.parametrize(
    ("name", "size", "fps", "says"),
    [
        ("film.mp4", (65, 48), 25, "even sizes"),
        ("film.mp4", (64, 48), 0, "1 to 240"),
        ("film.webm", (64, 48), 25, r"ends in \.mp4"),
        ("kept", (64, 48), 25, "empty or a new folder"),
        ("kept/notes.txt", (64, 48), 25, "found a file"),
        ("folder.mp4", (64, 48), 25, "found a folder"),
    ],
)
def test_what_cannot_be_written_is_said_before_and_touches_nothing(
    tmp_path: Path, name: str, size: tuple[int, int], fps: int, says: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "notes.txt").write_text("mine")
    with pytest.raises(ExportError, match=says):
        check_video(tmp_path / name, size, fps)
    with pytest.raises(ExportError, match=says), writing_video(tmp_path / name, size, fps):
        pass
    assert (tmp_path / "kept" / "notes.txt").read_text() == "mine"


def test_without_pyav_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ExportError, match=r"scripts/install '\.\[video\]'.*folder"):
        check_video(tmp_path / "film.mp4", (64, 48), 25)
    check_video(tmp_path / "frames", (64, 48), 25)
