"""Expressions on disk: what names a file, what an interruption costs, what is found again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, make_dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from engine import expression_cache, reproducible
from engine.diffusion.request import GenerateRequest
from engine.diffusion.weights_folder import SHIPPED
from engine.expression_cache import AT_ONCE, generate_all, generate_cached, joined, load, recall, store
from engine.identity import Identity
from engine.io.cache import VARIABLE
from engine.jobs import Step
from engine.vocabulary import NAMES
from tests.heads import make_expressions, make_head

SIX = NAMES[1:7]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def head() -> Identity:
    return make_head(32)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """What reaches the model, which is a quick one here."""
    requests: list[tuple[str, ...]] = []

    def generate(request: GenerateRequest) -> Iterator[Step]:
        names = request.names + ((request.prompt,) if request.prompt else ())
        requests.append(names)
        yield Step(0, 2, "reading")
        yield Step(1, 2, ", ".join(names))
        yield Step(2, 2, "done", result=make_expressions(request.identity, names, request.seed))

    monkeypatch.setattr(expression_cache, "generate", generate)
    return requests


def test_many_are_made_a_few_at_a_time_and_only_once(head, asked) -> None:
    request = GenerateRequest(head, SIX, prompt="sly smile")
    steps = list(generate_cached(request))
    assert asked == [SIX[:4], (*SIX[4:], "sly smile")]
    assert [step.index / step.total for step in steps] == sorted(step.index / step.total for step in steps)
    results = [step.result for step in steps if step.result is not None]
    assert [result.names for result in results] == asked
    assert steps[-1].result is results[-1]
    assert [step.label for step in steps if step.result is not None] == ["4 of 7", "7 of 7"]
    again = generate_all(request)
    assert len(asked) == 2
    assert again.names == (*SIX, "sly smile")
    for expression in joined(request, results).expressions:
        np.testing.assert_array_equal(again[expression.name].offsets_m, expression.offsets_m)
    list(generate_cached(request, fresh=True))
    assert len(asked) == 4


def test_whoever_stops_and_asks_again_gets_what_was_made_from_disk(head, asked) -> None:
    steps = generate_cached(GenerateRequest(head, SIX))
    while len(asked) < 2:
        next(steps)
    steps.close()
    assert generate_all(GenerateRequest(head, SIX[:AT_ONCE])).names == SIX[:AT_ONCE]
    assert len(asked) == 2


def test_the_result_does_not_wait_for_the_disk(head, asked, cache) -> None:
    steps = generate_cached(GenerateRequest(head, ("Jaw Open",)))
    assert next(step for step in steps if step.result is not None).result is not None
    assert list(cache.iterdir()) == []
    assert list(steps) == []
    assert len(list(cache.iterdir())) == 1


def test_recall_finds_what_is_there_a_few_at_a_time_and_makes_nothing(head, asked) -> None:
    there = (*SIX[:2], *SIX[3:])
    for expression in make_expressions(head, there).expressions:
        store(GenerateRequest(head, SIX), expression)
    steps = list(recall(GenerateRequest(head, SIX)))
    assert asked == []
    assert [step.index for step in steps] == [1, 2, 3, 4, 5, 6]
    assert [step.result.names for step in steps if step.result is not None] == [there[:4], there[4:]]
    assert [step.result for step in recall(GenerateRequest(make_head(32, seed=1), SIX)) if step.result] == []


def test_every_field_of_a_request_decides(head) -> None:
    other = {"steps": 3, "seed": 5, "guidance": 2.0, "device": "cpu", "identity": make_head(32, seed=1)}
    other |= {"model": SHIPPED, "model_digest": "other weights"}
    other |= {"folds": 0.5, "age_years": 60.0}
    plain = GenerateRequest(head, ("Jaw Open",))
    store(plain, make_expressions(head)["Jaw Open"])
    assert load(replace(plain, names=("Brows Up", "jaw open")), "Jaw Open") is not None
    for field in fields(GenerateRequest):
        if field.name not in ("names", "prompt", "lock", "made"):  # what keeps a part of others is never cached
            assert load(replace(plain, **{field.name: other[field.name]}), "Jaw Open") is None, field.name
    assert load(GenerateRequest(head, prompt="Jaw Open"), "Jaw Open") is None  # its words are not the table's


def test_a_field_that_comes_later_decides_too_or_is_refused(head) -> None:
    later = make_dataclass("Later", [("texture", object, None)], bases=(GenerateRequest,), frozen=True, eq=False)
    paths = {expression_cache._path(later(head, ("Jaw Open",), texture=value), "Jaw Open") for value in (1, "a", (2,))}
    assert len(paths) == 3
    with pytest.raises(TypeError, match="add its digest"):
        expression_cache._path(later(head, ("Jaw Open",), texture=np.zeros(3)), "Jaw Open")


def test_whatever_is_wrong_with_a_file_it_is_thrown_away_and_made_again(head, asked, cache) -> None:
    """Cut anywhere, bytes turned anywhere, another kind of file: None or the expression as it was, never an error."""
    rng = np.random.default_rng(0)
    request = GenerateRequest(head, ("Jaw Open",))
    made = make_expressions(head)["Jaw Open"]
    store(request, made)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    damaged = [whole[: int(at)] for at in rng.integers(0, len(whole), 60)]
    for at in rng.integers(0, len(whole), 300):
        turned = bytearray(whole)
        turned[at] ^= 1 << int(rng.integers(8))
        damaged.append(bytes(turned))
    damaged += [b"", b"PK\x03\x04", b"\x93NUMPY", bytes(5000)]
    thrown = 0
    for data in damaged:
        path.write_bytes(data)
        found = load(request, "Jaw Open")
        assert path.exists() == (found is not None)
        if found is None:
            thrown += 1
        else:  # the turned bit says nothing about the content: a date, a comment
            np.testing.assert_array_equal(found.offsets_m, made.offsets_m)
            np.testing.assert_array_equal(found.change.slope, made.change.slope)
    assert thrown > 250
    path.write_bytes(whole[:1000])
    assert generate_all(request).names == ("Jaw Open",)
    assert asked == [("Jaw Open",)]
    assert load(request, "Jaw Open") is not None


def test_what_changes_bytes_is_in_the_name(head, monkeypatch) -> None:
    request = GenerateRequest(head, ("Jaw Open",))
    names = {expression_cache._path(request, "Jaw Open")}
    for cores in (1, 2, 64):
        monkeypatch.setattr(reproducible, "usable_cores", lambda cores=cores: cores)
        names.add(expression_cache._path(request, "Jaw Open"))
    assert len(names) in (3, 4)  # this machine has a number of cores of its own
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    names.add(expression_cache._path(request, "Jaw Open"))
    monkeypatch.setattr(reproducible, "version", lambda library: "99")
    names.add(expression_cache._path(request, "Jaw Open"))
    assert len(names) in (5, 6)


def test_what_was_made_for_another_request_is_thrown_away(head, cache) -> None:
    made, asked = (GenerateRequest(head, ("Jaw Open",), seed=seed) for seed in (0, 1))
    store(made, make_expressions(head)["Jaw Open"])
    (path,) = cache.iterdir()
    path.rename(expression_cache._path(asked, "Jaw Open"))
    assert load(asked, "Jaw Open") is None
    assert list(cache.iterdir()) == []


def test_only_files_of_ours_make_room(head, cache, monkeypatch) -> None:
    monkeypatch.setattr("engine.io.cache.LARGEST_BYTES", 1)
    for name in ("smile.expression", "0" * 40 + ".expression.bak", "notes.txt"):
        (cache / name).write_text("mine")
    (cache / ("1" * 40 + ".expression")).mkdir()
    (cache / ("2" * 40 + ".expression")).write_text("ours")
    store(GenerateRequest(head, ("Jaw Open",)), make_expressions(head)["Jaw Open"])
    assert sorted(path.name for path in cache.iterdir()) == sorted(
        ["smile.expression", "0" * 40 + ".expression.bak", "notes.txt", "1" * 40 + ".expression"]
    )


def test_the_cache_gives_back_what_it_got(head: Identity, cache: Path) -> None:
    original = make_expressions(head)["Brows Up"]
    request = GenerateRequest(head, ("Brows Up",), steps=3, seed=5)
    assert load(request, "Brows Up") is None
    store(request, original)
    again = load(request, "Brows Up")
    assert again is not None
    np.testing.assert_array_equal(again.offsets_m, original.offsets_m)
    np.testing.assert_array_equal(again.change.slope, original.change.slope)
    for other in (
        GenerateRequest(head, ("Brows Up",), steps=4, seed=5),
        GenerateRequest(head, ("Brows Up",), steps=3, seed=6),
        GenerateRequest(make_head(32, seed=1), ("Brows Up",), steps=3, seed=5),
    ):
        assert load(other, "Brows Up") is None
    (step,) = generate_cached(request)
    assert step.result is not None
    assert step.result.names == ("Brows Up",)


def test_a_damaged_cache_file_is_a_note_and_no_more(
    head: Identity, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    request = GenerateRequest(head, ("Brows Up",))
    store(request, make_expressions(head)["Brows Up"])
    (path,) = cache.iterdir()
    path.write_bytes(path.read_bytes()[:500])
    with caplog.at_level("INFO", logger="engine"):
        assert load(request, "Brows Up") is None
    assert "made again" in caplog.text


def test_a_cache_that_cannot_be_written_loses_nothing(
    head: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "file" / "cache"))
    with caplog.at_level("INFO", logger="engine"):
        store(GenerateRequest(head, ("Brows Up",)), make_expressions(head)["Brows Up"])
    assert "nothing is kept" in caplog.text


def test_the_cache_forgets_what_was_used_longest_ago(
    head: Identity, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = make_expressions(head)["Brows Up"]
    store(GenerateRequest(head, ("Brows Up",), seed=0), original)
    (path,) = cache.iterdir()
    monkeypatch.setattr("engine.io.cache.LARGEST_BYTES", 2 * path.stat().st_size + 100)
    for seed in range(1, 4):
        store(GenerateRequest(head, ("Brows Up",), seed=seed), original)
    assert load(GenerateRequest(head, ("Brows Up",), seed=0), "Brows Up") is None
    assert load(GenerateRequest(head, ("Brows Up",), seed=3), "Brows Up") is not None
