"""The race of renderers: the same light for all, and a table that says what was measured."""

import json
import math

import numpy as np
import pytest

from benchmarks.difference import Difference
from benchmarks.peers.path_tracer import Truth
from benchmarks.render_speed import Entrant, Times, as_peers_turn, linear_light, prepare, quality_table
from engine.render.environment import equirect_directions


def test_peers_see_each_texel_of_the_light_where_it_is_here():
    directions, _ = equirect_directions(64, 128)
    turned = as_peers_turn(directions)  # each texel holds the direction that it shines from
    around = ((np.arange(128) + 0.5) / 128 - 0.5) * 2 * np.pi  # three.js, equirectUv: u = atan(z, x) / 2 pi + 0.5
    np.testing.assert_allclose(np.arctan2(turned[32, :, 2], turned[32, :, 0]), around, atol=1e-5)
    np.testing.assert_allclose(turned[..., 1], directions[..., 1])


def test_the_job_gives_peers_the_key_light_and_the_mean_reflectance(tmp_path):
    job = prepare("builtin", tmp_path, (64, 36), 1)
    told = json.loads((tmp_path / "job.json").read_text())
    key = job.project.scene.key_light
    x, y, z = told["key_towards"]
    assert (math.atan2(x, z), math.asin(y)) == pytest.approx((key.yaw_rad, key.pitch_rad))
    assert told["key_irradiance"] == pytest.approx([key.irradiance * value for value in key.color_linear])
    f0 = job.project.identity.maps.specular_data.mean() / 255 * job.project.identity.specular_f0_scale
    assert ((told["ior"] - 1) / (told["ior"] + 1)) ** 2 == pytest.approx(f0)
    assert (tmp_path / "head.glb").read_bytes()[:4] == b"glTF"
    assert (tmp_path / "light.hdr").read_bytes()[:2] == b"#?"


def test_pictures_are_decoded_with_the_curve_they_have():
    grey = np.full((1, 1, 3), 128, np.uint8)
    assert linear_light(grey, None) == pytest.approx(0.21586, abs=1e-4)  # IEC 61966-2-1
    assert linear_light(grey, 2.2) == pytest.approx((128 / 255) ** 2.2)


def test_only_pixels_well_inside_the_skin_count():
    skin = np.zeros((9, 9), np.float32)
    skin[1:8, 1:8] = 1.0
    skin[1, 4] = 0.5  # an outline
    inside = Truth(np.zeros((9, 9, 3), np.float32), skin, skin).inside
    wanted = np.zeros((9, 9), bool)
    wanted[3:6, 3:6] = True
    wanted[3, 4] = False
    np.testing.assert_array_equal(inside, wanted)


def test_the_table_sets_quality_beside_the_median_of_all_rounds():
    entrants = (
        Entrant("as drawn", lambda: "never run"),
        Entrant("judged", lambda: "never run", "a.png", "all shadows"),
        Entrant("absent", lambda: "never run", "b.png", "nothing"),
    )
    results = {
        "as drawn": [Times(1.0, [30.0], "driver")],
        "judged": [Times(1.0, [10.0, 20.0], "driver"), "failed: once", Times(1.0, [40.0], "driver")],
        "absent": ["not installed"],
    }
    head, _, drawn, judged, absent = quality_table(
        entrants, results, {"judged": Difference(28.44, -0.0456, 0.1234)}, "Some tracer"
    )
    assert "Some tracer" in head
    assert drawn.split() == ["as", "drawn", "30.0", "-", "-", "-"]
    assert judged.split() == ["judged", "20.0", "0.123", "28.4", "-4.6%", "all", "shadows"]
    assert absent.split() == ["absent", "-", "-", "-", "-"]
