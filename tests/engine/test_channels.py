"""The table of maps: its rows fit together, and one more row is blended, saved, written to files and drawn."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np

from engine import channels
from engine.channels import CHANNELS, MAPS, Blend
from engine.expression import ReflectanceChange
from engine.identity import ReflectanceMaps

ONE_MORE = """
import sys
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from engine import channels

ROW = channels.FaceMap("cavity", "cavity_data", "cavity", slice(9, 10), channels.Encoding.LINEAR,
                       channels.Blend.DIFFERENCE, "1", even=200)
channels.MAPS += (ROW,)
channels.MAP_NAMES += (ROW.name,)
channels.CHANNELS += 1
channels.CHANGE_TILES = -(-channels.CHANNELS // 4)

from engine import identity

@dataclass(frozen=True, eq=False, slots=True)
class ReflectanceMaps(identity.ReflectanceMaps):
    cavity_data: np.ndarray | None = None

    def __post_init__(self):
        if self.cavity_data is None:
            object.__setattr__(self, "cavity_data", ROW.blank(self.size))
        super(ReflectanceMaps, self).__post_init__()

identity.ReflectanceMaps = ReflectanceMaps
identity.Identity.__annotations__["maps"] = ReflectanceMaps

from dataclasses import replace
from engine.composer import compose_maps
from engine.expression import ExpressionSet, ReflectanceChange
from engine.io.jreflectance import read
from engine.io.jreflectance_writer import write
from engine.io.project import load_project, save_project
from engine.project import Project
from engine.render.context import standalone_context
from engine.render.shaders import program
from engine.render.upload import ChangeTexture
from tests.heads import make_expressions, make_head

folder, head = Path(sys.argv[1]), make_head(16)
four = make_expressions(head, ("Jaw Open",)).expressions[0]
assert four.change.channels.shape[2] == 10 and not ROW.of(four.change.channels).any()   # made by who knows of nine
packed = four.change.channels.copy()
packed[..., 9] = np.linspace(-0.2, 0.2, 8)
deep = ExpressionSet(head.hash, (replace(four, change=ReflectanceChange(packed)),))

maps = compose_maps(head.maps, deep, {"Jaw Open": 0.5})
assert not np.array_equal(maps.cavity_data, head.maps.cavity_data)
assert abs(int(maps.cavity_data[0, 0]) - round(200 - 0.5 * 0.2 * 255)) <= 1
plain = compose_maps(head.maps, ExpressionSet(head.hash, (four,)), {"Jaw Open": 0.5})
assert all(np.array_equal(a, b) for a, b in zip(maps.images[:4], plain.images[:4]))

save_project(Project(head, deep, {}), folder / "a.expdiff")
opened = load_project(folder / "a.expdiff")
assert np.array_equal(opened.expressions["Jaw Open"].change.channels, packed)
assert np.array_equal(opened.identity.maps.cavity_data, head.maps.cavity_data)

for _ in write(head, deep, folder / "person"):
    pass
assert len(list(folder.glob("person/exp*/cavity.png"))) == 2
_, again = read(folder / "person")
assert np.abs(ROW.of(again["Jaw Open"].change.channels) - packed[..., 9]).max() < 0.01

context = standalone_context()
texture = ChangeTexture(context, deep["Jaw Open"].change, (8, 8)).texture
texels = np.frombuffer(texture.read(), np.float16).reshape(3, 8, 8, 4)
assert np.array_equal(texels[2, ..., 1], packed[..., 9])
program(context, "fullscreen.vert", "compose_maps.frag", ("CHANGES 1",))
print("done")
"""


def test_the_slices_follow_each_other_and_the_maps_hold_what_the_rows_name() -> None:
    at = [channel for row in MAPS for channel in range(*row.channels.indices(CHANNELS))]
    assert at == list(range(CHANNELS))
    assert [row.field for row in MAPS] == [part.name for part in fields(ReflectanceMaps)]
    change = ReflectanceChange(np.arange(9.0).reshape(1, 1, 9))
    for row in MAPS:
        np.testing.assert_array_equal(getattr(change, row.change), row.of(change.channels))
        assert np.shares_memory(getattr(change, row.change), change.channels)


def test_log_ratios_are_the_first_channels_of_a_model() -> None:
    ratios = [row for row in channels.MODEL_MAPS if row.blend is Blend.LOG_RATIO]
    assert slice(ratios[0].channels.start, ratios[-1].channels.stop) == channels.LOG_RATIOS


def test_what_is_added_takes_one_image_to_another() -> None:
    rng = np.random.default_rng(0)
    for row in MAPS:
        neutral, other = (row.encoded(rng.uniform(0, 1, (8, 8, *row.shape)).astype(np.float32)) for _ in range(2))
        reached = row.changed(neutral, row.additive(other) - row.additive(neutral))
        assert reached.dtype == other.dtype
        np.testing.assert_allclose(reached.astype(float), other.astype(float), atol=1e-3)


def test_one_more_row_is_blended_saved_written_and_drawn(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ONE_MORE, str(tmp_path)]
    finished = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=300)
    assert finished.stdout.endswith("done\n"), finished.stderr
