"""Every reader of the program, with a small good input of its own: what fuzzing damages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import OpenImageIO as oiio

from engine.composer import compose
from engine.diffusion.request import GenerateRequest
from engine.expression_cache import load, store
from engine.identity import Identity
from engine.io import ict, jreflectance, jreflectance_writer
from engine.io.cache import cache_folder
from engine.io.files import read_npy, write_json
from engine.io.images import read_grey, read_radiance, read_rgb, write_exr, write_png
from engine.io.obj import read_textured_obj
from engine.io.project import save_project
from engine.io.rig import read_mixture, read_rig
from engine.open import open_project
from engine.project import Project, new_project
from engine.render.environment import equirect_radiance
from tests.data import FFHQ_UV, ICT
from tests.heads import make_expressions, make_head, write_mesh

RNG = np.random.default_rng(7)


class Reader(NamedTuple):
    """One way in."""

    name: str
    make: Callable[[Path], Path]
    """Writes a good input into a new folder and says what to read: the folder, or a file in it."""
    read: Callable[[Path], Any]


def _head() -> Identity:
    return make_head(16, rings=8, segments=12)


def _pixels(channels: int) -> np.ndarray:
    return RNG.integers(0, 256, (24, 16, channels), dtype=np.uint8)


def _image(name: str, channels: int = 3, depth: Any = oiio.UINT8, **attributes: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path, pixels = folder / name, _pixels(channels)
        spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], channels, depth)
        for key, value in attributes.items():
            spec.attribute(key, value)
        output = oiio.ImageOutput.create(str(path))
        values = pixels if depth == oiio.UINT8 else (pixels / 255).astype(np.float32)
        assert output.open(str(path), spec)
        assert output.write_image(values)
        assert output.close()
        return path

    return make


def _scan(folder: Path) -> Path:
    write_mesh(folder / "head.obj", _head())
    write_png(folder / "head_diffuse.png", _pixels(3))
    write_png(folder / "head_roughness.png", _pixels(1))
    write_png(folder / "head_normal.png", _pixels(4))
    (folder / "head.mtl").write_text("newmtl skin\nmap_Kd head_diffuse.png\n")
    return folder


def _person(folder: Path) -> Path:
    head = _head()
    for _ in jreflectance_writer.write(head, make_expressions(head), folder / "p001"):
        pass
    return folder / "p001"


def _lists(folder: Path) -> Path:
    jreflectance.write_split(folder, ("p001", "p002"), ("p003",))
    return folder


def _project(folder: Path) -> Path:
    head = _head()
    save_project(
        Project(head, make_expressions(head), {"Jaw Open": 0.5}, new_project(head).scene), folder / "a.expdiff"
    )
    return folder / "a.expdiff"


def _cached(folder: Path) -> Path:
    """The request's own file in the cache, which is where `folder` says."""
    head = _head()
    store(GenerateRequest(head, ("Jaw Open",)), make_expressions(head).expressions[0])
    (file,) = cache_folder().glob("*.expression")
    shutil.copyfile(file, folder / file.name)
    return folder / file.name


def _load_cached(path: Path) -> Any:
    cache_folder().mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, cache_folder() / path.name)
    return load(GenerateRequest(_head(), ("Jaw Open",)), "Jaw Open")


def _rig(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path, rows = folder / name, [[0.0, 1.0, 0.5], [1.0, 0.0, 0.25], [0.5, 0.5, 1.0]]
        if path.suffix == ".npy":
            np.save(path, np.array(rows))
        elif path.suffix == ".json":
            lights = [{"direction": row, "intensity_linear": row} for row in rows]
            path.write_text(json.dumps({"lights": lights} if name == "lights.json" else rows))
        else:
            path.write_text("# x, y, z\n" + "\n".join(", ".join(map(str, row)) for row in rows) + "\n")
        return path

    return make


def _array(folder: Path) -> Path:
    np.save(folder / "a.npy", RNG.normal(size=(20, 3)).astype(np.float32))
    return folder / "a.npy"


def _coefficients(folder: Path) -> Path:
    write_json(folder / "c.json", {"identity_coefficients": [0.5, -1.0, 2.0]})
    return folder / "c.json"


def _modes(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        deltas = np.zeros((2, ict.VERTEX_COUNT, 3), np.float16)
        deltas[:, ::7] = RNG.normal(size=(2, len(deltas[0, ::7]), 3))
        extra = {"names": np.array(["jawOpen", "smile"])} if name.startswith("expression") else {}
        np.savez_compressed(folder / name, deltas=deltas, **extra)
        return folder

    return make


def _facekit(folder: Path) -> Path:
    (folder / "FaceXModel").mkdir()
    shutil.copy(ICT / "FaceXModel" / "generic_neutral_mesh.obj", folder / "FaceXModel")
    return folder


def _ffhq(folder: Path) -> Path:
    (source,) = sorted(path for path in FFHQ_UV.iterdir() if (path / "mesh_head.obj").is_file())[:1]
    for name in ("mesh_head.obj", "mesh_eye_ball_L.obj", "mesh_eye_ball_R.obj", "tex_uv.png", "tex_eye_ball.png"):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    return folder


def _configuration(folder: Path) -> Path:
    from engine.diffusion.config import CONFIGS

    shutil.copyfile(CONFIGS / "smoke.toml", folder / "smoke.toml")
    return folder / "smoke.toml"


def _read_configuration(path: Path) -> Any:
    from engine.diffusion.config import read_config

    return read_config(path)


def _weights(folder: Path) -> Path:
    """A training folder of the smallest networks, untrained."""
    from engine.diffusion.checkpoint import STAGES, fresh_networks, save_tensors
    from engine.diffusion.config import read_config

    config = read_config(Path("smoke"))
    tensors = {
        f"{name}.{key}": tensor
        for name, part in fresh_networks(config).items()
        for key, tensor in part.state_dict().items()
    }
    for stage in STAGES[:2]:
        save_tensors(folder / f"{stage}.safetensors", tensors, {"config": config.to_json()})
    return folder


def _release(folder: Path) -> Path:
    from engine.diffusion.checkpoint import write_release

    (folder / "run").mkdir()
    write_release(_weights(folder / "run"), folder / "release")
    return folder / "release"


def _load_model(folder: Path) -> Any:
    from engine.diffusion.checkpoint import load_model

    return load_model(folder)


def _both(*reads: Callable[[Path], Any]) -> Callable[[Path], Any]:
    """Every reader of one kind of file in turn; what the first refuses, the others are not asked."""

    def read(path: Path) -> Any:
        return [each(path) for each in reads]

    return read


def _open(path: Path) -> Project:
    """What is accepted must also be fit for use."""
    project = open_project(str(path))
    compose(project.identity, project.expressions, dict.fromkeys(project.expressions.names, 1.0))
    return project


def _exr(folder: Path) -> Path:
    write_exr(folder / "a.exr", {"RGBA": _pixels(4) / np.float32(255), "depth": _pixels(1)[..., 0] / np.float32(255)})
    return folder / "a.exr"


READERS: tuple[Reader, ...] = (
    Reader("OBJ", lambda folder: _scan(folder) / "head.obj", read_textured_obj),
    Reader("scan folder", _scan, _open),
    Reader("person folder", _person, _open),
    Reader("lists of a data set", _lists, jreflectance.read_split),
    Reader("saved project", _project, _open),
    Reader("cached expression", _cached, _load_cached),
    Reader("PNG", _image("a.png", 4), read_rgb),
    Reader("grey PNG", _image("a.png", 1), read_grey),
    Reader("JPEG", _image("a.jpg"), read_rgb),
    Reader("TIFF", _image("a.tif"), read_rgb),
    Reader("TGA", _image("a.tga"), read_rgb),
    Reader("WebP", _image("a.webp"), read_rgb),
    Reader("BMP", _image("a.bmp"), read_rgb),
    Reader("EXR", _exr, _both(read_rgb, read_radiance)),
    Reader("HDR light", _image("a.hdr", 3, oiio.FLOAT), lambda path: equirect_radiance(str(path))),
    Reader("EXR light", _image("a.exr", 3, oiio.HALF), lambda path: equirect_radiance(str(path))),
    *(Reader(f"rig {name}", _rig(name), read_rig) for name in ("a.json", "a.txt", "a.csv", "a.npy")),
    Reader("mixture lights.json", _rig("lights.json"), read_mixture),
    Reader("NPY", _array, read_npy),
    Reader("ICT coefficients", _coefficients, ict.read_coefficients),
    Reader("ICT modes", _modes("identity_modes.npz"), lambda folder: ict.identity_modes(folder, 2)),
    Reader("ICT shapes", _modes("expression_deltas.npz"), ict.expression_deltas),
    Reader("configuration", _configuration, _read_configuration),
    Reader("training folder", _weights, _load_model),
    Reader("release", _release, _load_model),
)
"""What needs no data but the program's own."""
THIRD_PARTY: tuple[Reader, ...] = (
    Reader("ICT folder", _facekit, _open),
    Reader("FFHQ-UV folder", _ffhq, _open),
)
"""What starts from the shared third-party heads."""
