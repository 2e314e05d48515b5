"""Films: H.264 in an .mp4 file through PyAV, or a folder of numbered PNG files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from engine.errors import ExportError
from engine.io.files import check_fillable, filling, replacing
from engine.io.images import write_png

SUFFIX = ".mp4"
_OTHERS = (".mov", ".avi", ".mkv", ".webm", ".gif", ".m4v")
_QUALITY = {"crf": "16", "preset": "medium"}
_BT709, _SRGB, _LIMITED = 1, 13, 1
"""ITU-T H.273: primaries and matrix; transfer of IEC 61966-2-1, which the frames are encoded in; luma 16 to 235."""

Write = Callable[[np.ndarray], None]
"""Takes one (height, width, 3) uint8 sRGB frame, row 0 on top."""


def check_video(path: Path, size: tuple[int, int], fps: int) -> None:
    """ExportError where `writing_video` could not write to `path`; asked before long work."""
    if not 1 <= fps <= 240:
        raise ExportError(f"video: expected 1 to 240 frames a second, found {fps}")
    if path.suffix.lower() in _OTHERS:
        raise ExportError(f"{path}: expected a name that ends in {SUFFIX}, or a folder for PNG files")
    if path.suffix.lower() != SUFFIX:
        check_fillable(path)
        return
    if size[0] % 2 or size[1] % 2:
        raise ExportError(f"{path}: expected even sizes for H.264 in 4:2:0, found {size[0]} x {size[1]}")
    if path.is_dir():
        raise ExportError(f"{path}: expected a file to write, found a folder; choose another name")
    try:
        import av  # noqa: F401
    except ImportError:
        raise ExportError(
            f"{path}: expected PyAV to write {SUFFIX} files, found none; run scripts/install '.[video]', "
            "or give a folder to get PNG files"
        ) from None


@contextmanager
def writing_video(path: Path, size: tuple[int, int], fps: int) -> Iterator[Write]:
    """What takes the frames, (width, height) `size` each, one after the other; the film is there, whole, at the end.

    A name in .mp4: H.264, 4:2:0, 8 bits, limited range, tagged with primaries and matrix of BT.709 and the transfer of
    sRGB. Any other name: a folder of frame_0001.png and so on. ExportError as `check_video`, or when the place cannot
    be written.
    """
    check_video(path, size, fps)
    if path.suffix.lower() == SUFFIX:
        with replacing(path) as temporary, _encoding(temporary, path, size, fps) as write:
            yield write
    else:
        with filling(path) as folder:
            yield _numbered(folder)


def _numbered(folder: Path) -> Write:
    count = 0

    def write(frame: np.ndarray) -> None:
        nonlocal count
        count += 1
        write_png(folder / f"frame_{count:04d}.png", frame)

    return write


@contextmanager
def _encoding(temporary: Path, path: Path, size: tuple[int, int], fps: int) -> Iterator[Write]:
    import av
    from av.error import FFmpegError
    from av.video.reformatter import ColorRange, Colorspace

    try:
        with av.open(str(temporary), "w", options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=fps, options=_QUALITY)
            stream.width, stream.height = size
            stream.pix_fmt = "yuv420p"
            context = stream.codec_context
            context.color_primaries, context.color_trc = _BT709, _SRGB
            context.colorspace, context.color_range = _BT709, _LIMITED

            def write(frame: np.ndarray) -> None:
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[..., :3]), format="rgb24")
                planes = picture.reformat(
                    format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
                )
                container.mux(stream.encode(planes))

            yield write
            container.mux(stream.encode(None))
    except FFmpegError as error:
        if isinstance(error, OSError):  # the place, not the film
            raise
        raise ExportError(f"{path}: expected a film that can be encoded, found: {error.strerror or error}") from error
