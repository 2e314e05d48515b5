"""Good content made bad, by a seed: what disks, networks, other programs and strangers do to files."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ABSURD = ("nan", "inf", "-inf", "1e400", "-1e300", "1e-320", "-1", "0", "0.5", "12,5", "0x10", "true", str(2**70))
ABSURD_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**63, 2**70, 1e300, -1e-320, 0.5, float("nan"), float("inf")),
    *("", "\x1b[2J", "\ud800", "\u202eabc", "a\nb", "../../etc/passwd", "/dev/zero", "x" * 5000),
    *([], [[1]], {}, {"a": 1}, [[[[[]]]]]),
)
_NUMBER = re.compile(rb"-?\d+\.?\d*(?:[eE][-+]?\d+)?")
_PNG = b"\x89PNG\r\n\x1a\n"


def mutated(data: bytes, suffix: str, others: list[bytes], rng: np.random.Generator) -> bytes:
    """`data` of a file with `suffix`, damaged in one to three ways; `others` are contents to be mistaken for it."""
    for _ in range(_pick([1, 1, 1, 2, 3], rng)):
        ways = [*_PLAIN, lambda data, rng: _pick(others, rng)]
        own = _STRUCTURED.get(suffix)
        if own is not None and rng.random() < 0.75:
            ways = [own]
        try:
            data = _pick(ways, rng)(data, rng)
        except Exception:  # whatever a library says of it
            data = _flipped(data, rng)  # no longer of its kind
    return data


def damage(root: Path, others: list[bytes], rng: np.random.Generator) -> str:
    """Damage one file at or under `root` and say which, and how where it is gone or no longer a file."""
    files = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else [root]
    path = _pick(files, rng)
    way = rng.random() if root.is_dir() else 1.0
    if way < 0.03:
        path.unlink()
        return f"{path.name} gone"
    if way < 0.05:
        path.unlink()
        path.mkdir()
        return f"{path.name} a folder"
    if way < 0.07:
        path.unlink()
        path.symlink_to(_pick(["/dev/zero", "/etc/passwd", path.name, "/"], rng))
        return f"{path.name} a link"
    if way < 0.08 and hasattr(os, "mkfifo"):
        path.unlink()
        os.mkfifo(path)
        return f"{path.name} a pipe"
    if way < 0.12:
        shutil.copyfile(_pick(files, rng), path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)
        return f"{path.name} another file of the folder"
    path.write_bytes(mutated(path.read_bytes(), path.suffix, others, rng))
    return path.name


def _pick(items: Any, rng: np.random.Generator) -> Any:
    return items[int(rng.integers(len(items)))]


# --- any bytes -------------------------------------------------------------------------------------------------------


def _flipped(data: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for _ in range(_pick([1, 1, 2, 8], rng) if changed else 0):
        changed[int(rng.integers(len(changed)))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _cut(data: bytes, rng: np.random.Generator) -> bytes:
    return data[: int(rng.integers(len(data) + 1))]


def _doubled(data: bytes, rng: np.random.Generator) -> bytes:
    first, end = sorted(int(rng.integers(len(data) + 1)) for _ in range(2))
    return data[:end] + data[first:end] + data[end:]


def _noise(data: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + rng.bytes(int(rng.integers(1, 64))) + data[at + int(rng.integers(64)) :]


def _emptied(data: bytes, rng: np.random.Generator) -> bytes:
    return b"" if rng.random() < 0.5 else bytes(len(data))


def _renumbered(data: bytes, rng: np.random.Generator) -> bytes:
    """A few numbers written as text replaced by absurd ones."""
    spans = [match.span() for match in _NUMBER.finditer(data[:200_000])]
    for _ in range(int(rng.integers(1, 4)) if spans else 0):
        first, end = spans.pop(int(rng.integers(len(spans))))
        data = data[:first] + _pick(ABSURD, rng).encode().ljust(end - first) + data[end:]
        spans = [span for span in spans if span[1] <= first]
        if not spans:
            break
    return data


def _mangled_lines(data: bytes, rng: np.random.Generator) -> bytes:
    lines = data.split(b"\n")
    one, other = (int(rng.integers(len(lines))) for _ in range(2))
    lines[one], lines[other] = (
        lines[other],
        _pick([b"", b"f 1 2 3", b"v 1 2", b"\xff\xfe", b"# \x1b[0m", lines[one]], rng),
    )
    return b"\n".join(lines)


_PLAIN: list[Callable[[bytes, np.random.Generator], bytes]] = [
    _flipped,
    _cut,
    _doubled,
    _noise,
    _emptied,
    _renumbered,
    _mangled_lines,
]

# --- what a format says of itself ------------------------------------------------------------------------------------


def _json(data: bytes, rng: np.random.Generator) -> bytes:
    """One value anywhere replaced, removed or renamed; otherwise JSON as good as before."""
    value = json.loads(data)
    places = list(_places(value))
    if not places:
        return json.dumps(_pick(ABSURD_VALUES, rng)).encode()
    holder, key = _pick(places, rng)
    way = rng.random()
    if way < 0.7:
        holder[key] = _pick(ABSURD_VALUES, rng)
    elif way < 0.85 or isinstance(holder, list):
        del holder[key]
    else:
        holder[str(_pick(ABSURD_VALUES, rng))] = holder.pop(key)
    return json.dumps(value).encode()


def _places(value: Any) -> Any:
    """(holder, key) of everything in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items)[:200]:
        yield value, key
        yield from _places(inner)


def _npy(data: bytes, rng: np.random.Generator) -> bytes:
    """Another array under the same name, or another header over the same numbers."""
    array = np.load(io.BytesIO(data), allow_pickle=False)
    way = int(rng.integers(6))
    stream = io.BytesIO()
    if way == 0:
        flat = array.astype(np.float32).ravel()
        flat[int(rng.integers(max(flat.size, 1)))] = _pick([np.nan, np.inf, 1e38, -1.0, 0.0], rng)
        array = flat.reshape(array.shape)
    elif way == 1:
        array = array[: int(rng.integers(len(array) + 1))] if array.ndim else array
    elif way == 2:
        with np.errstate(all="ignore"):
            array = np.real(array).astype(_pick(["f8", "i8", "u1", "U4", "c8", ">f4", "?", "f2"], rng))
    elif way == 3:
        array = array.reshape(-1) if rng.random() < 0.5 else array[None]
    else:
        head = {
            "descr": _pick(["<f4", "|V0", "|O", "<f999", "<M8[ns]", "|S0", "<i4", [("a", "<f4")]], rng),
            "fortran_order": _pick([True, False, 3], rng),
            "shape": _pick([array.shape, (2**62, 2**62), (-1, 3), (0, 3), (), (1.5,), (10**9, 3), "x"], rng),
        }
        text = repr(head).encode().ljust(117) + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + array.tobytes()
    with np.errstate(all="ignore"):
        np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def _zip(data: bytes, rng: np.random.Generator) -> bytes:
    """One member damaged under a right checksum, missing, twice there, or of another size than it claims."""
    members: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {info.filename: file.read(info) for info in file.infolist()}
    name = _pick(sorted(members), rng)
    way = rng.random()
    if way < 0.1:
        del members[name]
    elif way < 0.2:
        members[name] = bytes(int(rng.integers(1, 3)) << 20)
    else:
        members[name] = mutated(members[name], Path(name).suffix, sorted(members.values())[:3], rng)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for each, content in members.items():
            file.writestr(each, content)
    changed = bytearray(stream.getvalue())
    if way > 0.85:  # a size, a method or a flag of the list of members
        at = changed.rfind(b"PK\x01\x02")
        changed[at + int(rng.integers(4, 46))] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _png(data: bytes, rng: np.random.Generator) -> bytes:
    """A chunk changed under a right checksum, missing or doubled."""
    if not data.startswith(_PNG):
        raise ValueError("no PNG")
    chunks, at = [], len(_PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    number = int(rng.integers(len(chunks)))
    kind, body = chunks[number]
    way = rng.random()
    if way < 0.6:
        chunks[number] = kind, _flipped(body, rng) if rng.random() < 0.7 else _cut(body, rng)
    elif way < 0.7:
        del chunks[number]
    elif way < 0.8:
        chunks.insert(number, chunks[number])
    else:
        packed = zlib.compress(bytes(1 << int(rng.integers(10, 24))))
        extra = _pick(
            [(b"zTXt", b"a\0\0" + packed), (b"iCCP", b"a\0\0" + packed), (b"PLTE", body), (b"tRNS", body)], rng
        )
        chunks.insert(number, extra)
    return _PNG + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _safetensors(data: bytes, rng: np.random.Generator) -> bytes:
    (length,) = struct.unpack_from("<Q", data)
    head = _json(data[8 : 8 + length], rng)
    length = int(rng.integers(2**62)) if rng.random() < 0.1 else len(head)
    return struct.pack("<Q", length) + head + data[8 + struct.unpack_from("<Q", data)[0] :]


_STRUCTURED: dict[str, Callable[[bytes, np.random.Generator], bytes]] = {
    ".json": _json,
    ".npy": _npy,
    ".npz": _zip,
    ".expdiff": _zip,
    ".expression": _zip,
    ".png": _png,
    ".safetensors": _safetensors,
    ".obj": _renumbered,
    ".csv": _renumbered,
    ".txt": _renumbered,
    ".toml": _renumbered,
    ".hdr": _renumbered,
}
