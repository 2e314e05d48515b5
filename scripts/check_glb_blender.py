"""Load .glb files in Blender and print what arrived: `python scripts/check_glb_blender.py FILE.glb ...`.

Needs Blender as a Python module (`pip install bpy` in an environment of its own). Exit code 1 where a target name, an
image or a material of the file did not arrive.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

try:
    import bpy
except ImportError as error:
    sys.exit(f"check_glb_blender: expected Blender as a Python module, found: {error}; pip install bpy")


def check(path: Path) -> bool:
    """Whether every target name, material and image of `path` is in Blender after import."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<I", data, 12)
    document = json.loads(data[20 : 20 + length])
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.import_scene.gltf(filepath=str(path))
    meshes = [item for item in bpy.data.objects if item.type == "MESH"]
    keys = {block.name for item in meshes if item.data.shape_keys for block in item.data.shape_keys.key_blocks}
    wanted = {
        "targets": set(document["meshes"][0]["extras"]["targetNames"]) - keys,
        "materials": {row["name"] for row in document["materials"]} - {row.name for row in bpy.data.materials},
        "images": {row["name"] for row in document.get("images", [])} - {row.name for row in bpy.data.images},
    }
    for item in meshes:
        size = [round(side, 4) for side in item.dimensions]
        print(f"{path.name}: Blender {bpy.app.version_string}: {len(item.data.vertices)} vertices, {size} m")
    print(f"{path.name}: {len(keys)} shape keys: {', '.join(sorted(keys))}")
    for kind, missing in wanted.items():
        if missing:
            print(f"{path.name}: expected {kind} {sorted(missing)}, found none of that name")
    return not any(wanted.values())


if __name__ == "__main__":
    sys.exit(0 if all(list(map(check, map(Path, sys.argv[1:])))) else 1)
