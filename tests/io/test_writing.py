"""Files and folders that are written whole: what is kept of what was there, what is left behind, what is said."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from engine.errors import ExportError
from engine.io.files import filling, replacing, write_bytes, write_json
from engine.io.images import png_bytes, read_rgb, write_exr, write_png
from engine.io.map_names import images_of
from engine.io.obj import write_obj
from engine.io.project import save_project
from engine.io.source import SourceMesh
from engine.io.temporary import is_temporary, sweep, temporary_beside
from engine.io.video import writing_video
from engine.open import mesh_with_maps
from engine.project import new_project
from tests.heads import make_head, write_mesh

ROOT = Path(__file__).parents[2]


def fails(path: Path, says: str, write: Callable[[Path], object] = lambda path: write_bytes(path, b"new")) -> None:
    with pytest.raises(ExportError) as caught:
        write(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert ".tmp" not in str(caught.value)


def hold_then_die(folder: Path, *, kill: bool) -> subprocess.Popen[bytes]:
    """A process that writes a file and fills a folder in `folder`; killed in the middle of both, or left so."""
    code = (
        "import sys, time; from pathlib import Path; from engine.io.files import filling, replacing\n"
        "folder = Path(sys.argv[1])\n"
        "with replacing(folder / 'a.glb') as file, filling(folder / 'set') as place:\n"
        "    file.write_bytes(b'half'); (place / 'one').write_bytes(b'half'); print('here', flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    if kill:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    return process


# --- what is there stays as it is ------------------------------------------------------------------------------------


def test_a_file_keeps_its_mode_and_a_new_one_has_the_usual(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("old")
    old.chmod(0o640)
    before = os.umask(0o027)
    try:
        write_json(old, 1)
        write_json(new, 1)
        with filling(tmp_path / "set") as place:
            write_json(place / "a.json", 1)
    finally:
        os.umask(before)
    assert stat.S_IMODE(old.stat().st_mode) == 0o640
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "set").stat().st_mode) == 0o750
    assert stat.S_IMODE((tmp_path / "set" / "a.json").stat().st_mode) == 0o640
    (tmp_path / "empty").mkdir(mode=0o700)
    with filling(tmp_path / "empty") as place:
        write_json(place / "a.json", 1)
    assert stat.S_IMODE((tmp_path / "empty").stat().st_mode) == 0o700


def test_links_are_written_through(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "empty").mkdir()
    for name, goal in (("a.json", "disk/real.json"), ("new.json", "disk/none yet.json"), ("set", "disk/empty")):
        (tmp_path / name).symlink_to(goal)
    (tmp_path / "disk" / "real.json").write_text("old")
    write_bytes(tmp_path / "a.json", b"1")
    write_bytes(tmp_path / "new.json", b"2")
    with filling(tmp_path / "set") as place:
        write_bytes(place / "one", b"3")
    assert all((tmp_path / name).is_symlink() for name in ("a.json", "new.json", "set"))
    assert (tmp_path / "disk" / "real.json").read_bytes() == b"1"
    assert (tmp_path / "disk" / "none yet.json").read_bytes() == b"2"
    assert (tmp_path / "disk" / "empty" / "one").read_bytes() == b"3"
    (tmp_path / "round.json").symlink_to("round.json")
    fails(tmp_path / "round.json", "in a circle")
    assert (tmp_path / "round.json").is_symlink()


def test_devices_and_pipes_take_the_data(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    fails(tmp_path / "pipe.png", "No such device", lambda path: write_png(path, np.zeros((2, 2), np.uint8)))
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe.png").read_bytes()))
    reader.start()
    while not got:
        try:
            write_bytes(tmp_path / "pipe.png", b"picture")
            break
        except ExportError:  # the reader has not opened it yet
            pass
    reader.join()
    assert got == [b"picture"]
    write_bytes(Path("/dev/null"), b"1")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    fails(tmp_path / "pipe.png", "device or pipe", lambda path: write_exr(path, {"Z": np.zeros((2, 2), np.float32)}))
    code = "from pathlib import Path; from engine.io.files import write_json; write_json(Path('/dev/stdout'), [1])"
    with (tmp_path / "out.txt").open("wb") as out:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run([sys.executable, "-c", code + "; print('more')"], stdout=out, env=environment, check=True)
    assert (tmp_path / "out.txt").read_bytes() == b"[\n  1\n]\nmore\n"


def test_a_filled_folder_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "old").write_bytes(b"old")
    with pytest.raises(ExportError, match="found files in it"), filling(tmp_path / "set"):
        pass
    with suppress(KeyError), filling(tmp_path / "set", replace=True) as place:
        (place / "new").write_bytes(b"half")
        raise KeyError
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["old"]
    with filling(tmp_path / "set", replace=True) as place:
        write_bytes(place / "deep" / "new", b"new")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["deep"]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


# --- what is left behind ---------------------------------------------------------------------------------------------


def test_what_a_dead_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (".expdiff-notes.tmp", "expdiff-00000000-0000000000000000.tmp", ".a.1234.glb"):
        (tmp_path / name).write_text("somebody's")
    other_host = tmp_path / ".expdiff-00000000-0123456789abcdef.tmp.glb"
    other_host.write_text("at work elsewhere")
    alive = hold_then_die(tmp_path, kill=False)
    try:
        at_work = {path.name for path in tmp_path.iterdir() if is_temporary(path.name)}
        assert len(at_work) == 3
        hold_then_die(tmp_path, kill=True)
        assert sum(is_temporary(path.name) for path in tmp_path.iterdir()) == 5
        write_bytes(tmp_path / "b.json", b"1")
        assert {path.name for path in tmp_path.iterdir() if is_temporary(path.name)} == at_work
    finally:
        alive.kill()
        alive.communicate()
    sweep(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {name for name in names if is_temporary(name)} == {other_host.name}
    assert len(names) == 5


def test_two_threads_write_one_name_and_one_of_them_is_there(tmp_path: Path) -> None:
    contents = [bytes([number]) * 200_000 for number in range(8)]

    def write(content: bytes) -> None:
        for _ in range(10):
            write_bytes(tmp_path / "a.bin", content)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.bin").read_bytes() in contents
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_what_stops_leaves_neither_file_nor_folder(tmp_path: Path) -> None:
    with suppress(KeyboardInterrupt), replacing(tmp_path / "deep" / "er" / "a.glb") as temporary:
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_long_names_have_short_temporary_ones(tmp_path: Path) -> None:
    longest = "a" * 251 + ".glb"
    write_bytes(tmp_path / longest, b"1")
    assert [path.name for path in tmp_path.iterdir()] == [longest]
    fails(tmp_path / "sub" / ("b" * 300 + ".glb"), "File name too long")
    assert [path.name for path in tmp_path.iterdir()] == [longest]
    with temporary_beside(tmp_path / ("a." + "x" * 240)) as temporary:
        assert is_temporary(temporary.name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("folder", "a folder of that name"),
        ("file/a.glb", "file is a file, not a folder"),
        ("", "a folder of that name"),
    ],
)
def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    fails(tmp_path / name, says)


def test_what_is_not_finished_is_not_read(tmp_path: Path) -> None:
    """A picture, a folder of maps and a mesh that a killed process left lie beside a head."""
    write_mesh(tmp_path / "egg.obj")
    write_png(tmp_path / "egg_diffuse.png", NOISE)
    unfinished = [tmp_path / f".expdiff-00000000-{number:016x}.tmp" for number in range(3)]
    write_png(unfinished[0].with_suffix(".tmp.png"), NOISE)
    write_mesh(unfinished[1].with_suffix(".tmp.obj"))
    write_png(unfinished[2] / "diffuse.png", NOISE)
    assert [path.name for path in images_of(tmp_path)] == ["egg_diffuse.png"]
    assert mesh_with_maps(tmp_path) == tmp_path / "egg.obj"


# --- a full disk -----------------------------------------------------------------------------------------------------

NOISE = np.random.default_rng(0).integers(0, 255, (192, 192, 3)).astype(np.uint8)
FLOATS = {"RGBA": np.random.default_rng(0).random((96, 96, 4), np.float32)}


def write_film(path: Path) -> None:
    with writing_video(path, (192, 192), 10) as write:
        for _ in range(20):
            write(np.random.default_rng(1).integers(0, 255, (192, 192, 3)).astype(np.uint8))


def write_frames(path: Path) -> None:
    with filling(path) as folder:
        for number in range(20):
            write_png(folder / f"{number}.png", NOISE)


WRITERS = {
    "a.png": lambda path: write_png(path, NOISE),
    "a.exr": lambda path: write_exr(path, FLOATS),
    "a.mp4": write_film,
    "a.expdiff": lambda path: save_project(new_project(make_head(128)), path),
    "a.obj": lambda path: write_obj(path, _mesh()),
    "a.json": lambda path: write_json(path, list(range(50_000))),
    "frames": write_frames,
}


def _mesh() -> SourceMesh:
    head = make_head(8)
    topology = head.topology
    return SourceMesh.of_triangles(
        head.positions_m,
        topology.uvs,
        topology.faces,
        topology.uv_faces,
        topology.face_parts.astype(np.int32),
        ("",) * 7,
    )


@pytest.fixture
def little_disk(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A disk of 16 kB; where none may be mounted, files that may grow no further."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        yield folder, "No space left on device"
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        return
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, before[1]))
    yield folder, "File too large"
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_said_with_the_name_that_was_asked_for(
    little_disk: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder, says = little_disk
    monkeypatch.setenv("TMPDIR", str(folder))
    fails(folder / "deep" / name, says, WRITERS[name])
    assert list(folder.iterdir()) == []


def test_pictures_in_memory_need_no_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    monkeypatch.chdir("/proc")
    assert png_bytes(NOISE)[:4] == b"\x89PNG"


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3), (5, 7, 4), (1, 1, 3), (3, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_encoded_reads_back(tmp_path: Path, shape: tuple[int, ...], dtype: type) -> None:
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
    write_png(tmp_path / "a.png", pixels[::-1][::-1])
    found = read_rgb(tmp_path / "a.png")
    flat = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, 2)
    want = flat[..., :3] if dtype == np.uint8 else np.rint(flat[..., :3] / 257)
    np.testing.assert_array_equal(found, want)
