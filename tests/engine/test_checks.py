"""No side brings numbers or text into a value that no hand would: neither files nor options nor programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from engine.checks import one_line, printable, short
from engine.diffusion.config import Config, ModelConfig, StageConfig
from engine.errors import check_magnitude
from engine.expression import ReflectanceChange
from engine.identity import Provenance
from engine.mesh import Topology
from engine.project import Project, new_project
from engine.scene import Camera, Environment, Lamp, LightStage, Scene, scene_with
from engine.sides import Sides
from tests.heads import make_expressions, make_head

HEAD = make_head(16)
SET = make_expressions(HEAD)
ABSURD = (math.nan, math.inf, -math.inf, 1e300, -1e300, 2**70, "1", None)


def numbers(value: Any) -> Iterator[tuple[str, Any]]:
    """(name, value of the same kind with that number absurd) of every number field of a dataclass."""
    for field in fields(value):
        own = getattr(value, field.name)
        for absurd in ABSURD:
            if isinstance(own, tuple) and own and isinstance(own[0], float):
                yield field.name, (*own[1:], absurd)
            elif type(own) in (int, float):
                yield field.name, absurd


@pytest.mark.parametrize(
    "value", [Camera(), Lamp(), Environment(), LightStage(), Scene(), StageConfig(), ModelConfig()], ids=repr
)
def test_no_number_of_a_scene_or_configuration_is_absurd(value: Any) -> None:
    assert is_dataclass(value)
    tried = 0
    for name, absurd in numbers(value):
        with pytest.raises(ValueError, match=rf"{name}.*expected|expected.*{name}"):
            replace(value, **{name: absurd})
        tried += 1
    assert tried >= 2 * len(ABSURD)


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(Scene(), fill_lights=(Lamp(),) * 1000),
        lambda: LightStage(mixture_linear=((1.0, 1.0, 1.0),) * 10**4),
        lambda: LightStage(mixture_linear=((1.0, math.nan, 1.0),)),
        lambda: LightStage(mixture_linear=((1.0, -1.0, 1.0),)),
        lambda: LightStage(rig="/etc/passwd"),
        lambda: LightStage(lamp=-1),
        lambda: Environment("a\nb"),
        lambda: Project(HEAD, SET, {"Jaw Open": math.nan}),
        lambda: Project(HEAD, SET, {"Jaw Open": 1e300}),
        lambda: Project(HEAD, SET, {"Jaw Open": Sides(0.5, -math.inf)}),
        lambda: Project(HEAD, SET, {"\x1b[2J": 0.5}),
        lambda: replace(HEAD, specular_f0_scale=math.inf),
        lambda: replace(HEAD, specular_f0_scale=-1.0),
        lambda: replace(HEAD, name="\ud800"),
        lambda: replace(HEAD, name="x" * 5000),
        lambda: replace(HEAD, known_maps=frozenset({"taste"})),
        lambda: replace(HEAD, positions_m=HEAD.positions_m + 1e6),
        lambda: replace(HEAD, eye_srgb=np.zeros((0, 4, 3), np.uint8)),
        lambda: replace(HEAD.maps, slope=HEAD.maps.slope + 1000),
        lambda: replace(SET.expressions[0], facs={"AU1": math.nan}),
        lambda: replace(SET.expressions[0], facs={"AU\n1": 1.0}),
        lambda: replace(SET.expressions[0], name="a\u202eb"),
        lambda: replace(SET.expressions[0], offsets_m=SET.expressions[0].offsets_m + 1e6),
        lambda: ReflectanceChange(SET.expressions[0].change.channels + np.eye(9)[6] * 1000),
        lambda: Provenance("a", "b\x07"),
        lambda: Provenance("a", 3),  # pyright: ignore[reportArgumentType]
        lambda: replace(HEAD.topology, vertex_count=1e400),
        lambda: replace(HEAD.topology, vertex_count=2**70),
        lambda: replace(HEAD.topology, head_vertex_count=-1),
        lambda: replace(HEAD.topology, uvs=HEAD.topology.uvs + 1e6),
        lambda: replace(HEAD.topology, face_parts=HEAD.topology.face_parts + 100),
        lambda: Config(seed=-1),
        lambda: ModelConfig(width=2**20),
    ],
)
def test_values_refuse_what_is_absurd(make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


def test_what_hands_do_is_taken() -> None:
    scene = scene_with(new_project(HEAD).scene, fill_lights=(Lamp(), Lamp()), scale_end=100.0)
    assert Project(HEAD, SET, {"Jaw Open": Sides(-1.0, 2.0)}, scene).scene is scene
    assert Topology(*(getattr(HEAD.topology, field.name) for field in fields(Topology))).hash == HEAD.topology.hash
    assert ReflectanceChange(SET.expressions[0].change.channels)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_magnitude_is_compared_as_numbers_are(dtype: type) -> None:
    rng = np.random.default_rng(0)
    array = (rng.normal(size=200) * 10).astype(dtype)
    most = float(np.abs(array).max())
    check_magnitude("a", array, most)
    for bad in (np.nan, -np.nan, np.inf, -np.inf, most * 1.01, -most * 1.01):
        array[3] = bad
        with pytest.raises(ValueError, match="a: expected values from"):
            check_magnitude("a", array, most)
    check_magnitude("a", array[:0], 1.0)
    check_magnitude("a", array.reshape(2, 100)[:, ::2] * 0, 0.0)


def test_text_for_a_terminal_steers_nothing() -> None:
    assert printable("Kiefer öffnen, 张伟, שלום, a\u200fb") == "Kiefer öffnen, 张伟, שלום, a\u200fb"
    assert printable("\x1b[2J\x9b\n\ud800\u202e\u2028") == r"\x1b[2J\x9b\n\ud800\u202e\u2028"
    assert one_line("a\nb\t c\x1b " + "x" * 2000) == "a b c\\x1b " + "x" * 987 + "..."
    assert short(10**5000).startswith("a int") or len(short(10**5000)) == 80
    nested: list[Any] = []
    for _ in range(10**5):
        nested = [nested]
    assert "cannot be written out" in short(nested)
