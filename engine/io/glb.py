"""The container of a binary glTF 2.0 file: accessors, images and the two chunks. What they mean is in `gltf.py`."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np

FLOAT, UNSIGNED_BYTE, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5121, 5123, 5125
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
_KINDS = {np.dtype(np.float32): FLOAT, np.dtype(np.uint8): UNSIGNED_BYTE, np.dtype(np.uint16): UNSIGNED_SHORT}
_KINDS[np.dtype(np.uint32)] = UNSIGNED_INT
_TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4"}


class GlbBuilder:
    """Collects binary data and the JSON lists that point into it; `finish` gives the file."""

    def __init__(self) -> None:
        self.accessors: list[dict[str, Any]] = []
        self.views: list[dict[str, Any]] = []
        self.images: list[dict[str, Any]] = []
        self._data = bytearray()

    def vertices(self, values: np.ndarray, *, bounds: bool = False, normalized: bool = False) -> int:
        """Index of a new accessor for (N, C) per-vertex `values`; `bounds` adds min and max, as POSITION needs."""
        accessor = self._describe(values, bounds)
        if normalized:
            accessor["normalized"] = True
        accessor["bufferView"] = self._view(values.tobytes(), target=ARRAY_BUFFER)
        return self._add(accessor)

    def indices(self, values: np.ndarray, vertex_count: int) -> int:
        """Index of a new accessor for (N,) vertex indices; 16 bits where they reach (65535 itself is reserved)."""
        packed = values.astype(np.uint16 if vertex_count <= 65535 else np.uint32)
        accessor = self._describe(packed[:, None], bounds=False)
        accessor["bufferView"] = self._view(packed.tobytes(), target=ELEMENT_ARRAY_BUFFER)
        return self._add(accessor)

    def deltas(self, values: np.ndarray, *, bounds: bool) -> int:
        """Index of a new accessor for (N, 3) float32 changes: empty, sparse or full, whichever is smallest.

        glTF 2.0, 3.6.2.3: an accessor without a buffer view is all zeros, and `sparse` replaces entries of it.
        """
        accessor = self._describe(values, bounds)
        moved = np.flatnonzero(values.any(axis=1))
        indices = moved.astype(np.uint16 if len(values) <= 65536 else np.uint32)
        if len(moved) and indices.nbytes + values[moved].nbytes < values.nbytes:
            accessor["sparse"] = {
                "count": len(moved),
                "indices": {"bufferView": self._view(indices.tobytes()), "componentType": _KINDS[indices.dtype]},
                "values": {"bufferView": self._view(values[moved].tobytes())},
            }
        elif len(moved):
            accessor["bufferView"] = self._view(values.tobytes(), target=ARRAY_BUFFER)
        return self._add(accessor)

    def image(self, png: bytes, name: str) -> int:
        """Index of a new embedded PNG."""
        self.images.append({"name": name, "mimeType": "image/png", "bufferView": self._view(png)})
        return len(self.images) - 1

    def finish(self, document: dict[str, Any]) -> bytes:
        """The whole .glb: `document` with this builder's lists added, then the binary chunk (glTF 2.0, chapter 4)."""
        body = bytes(self._data) + b"\0" * (-len(self._data) % 4)
        lists = {"images": self.images, "accessors": self.accessors, "bufferViews": self.views}
        lists["buffers"] = [{"byteLength": len(body)}]
        text = json.dumps(document | lists, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
        text += b" " * (-len(text) % 4)
        total = 12 + 8 + len(text) + 8 + len(body)
        header = struct.pack("<4sII", b"glTF", 2, total)
        return header + struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(body), b"BIN\0") + body

    def _describe(self, values: np.ndarray, bounds: bool) -> dict[str, Any]:
        accessor: dict[str, Any] = {
            "componentType": _KINDS[values.dtype],
            "count": len(values),
            "type": _TYPES[values.shape[1]],
        }
        if bounds:
            accessor |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        return accessor

    def _add(self, accessor: dict[str, Any]) -> int:
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def _view(self, data: bytes, target: int | None = None) -> int:
        self._data += b"\0" * (-len(self._data) % 4)
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self._data), "byteLength": len(data)}
        if target is not None:
            view["target"] = target
        self._data += data
        self.views.append(view)
        return len(self.views) - 1
