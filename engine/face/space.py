"""Sizes and layouts of the canonical face space (docs/conventions.md): the UV square of FFHQ-UV.

Textures and their changes live in that layout as it is. Positions and offsets live in the *opened* layout, in which the
straight slits of mouth and eyes are spread to lenses, so that upper and lower lip are never neighbours in a map.
"""

from __future__ import annotations

GEOMETRY_SIZE = 128
"""Side of position and offset maps (opened layout)."""
TEXTURE_SIZE = 512
"""Side of textures and change maps (canonical layout)."""
