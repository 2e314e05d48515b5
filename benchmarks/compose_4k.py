"""Composing the four maps of a 4096 head under expressions: in strips, as exports do, and in plain numpy, whole maps.

    python -m benchmarks.compose_4k [--size 4096] [--expressions 4] [--rounds 3]

Both ways run in turns on the same random maps; times are medians after a warm-up. Memory is what numpy holds at most
beside inputs and result, traced in a run of its own. Prints one table in Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from benchmarks.generate_speed import processor
from engine.channels import LOG_FLOOR
from engine.color import bytes_from_unit, linear_from_srgb, srgb_from_linear
from engine.composer import THREADS, compose_maps
from engine.expression import Expression, ExpressionSet, ReflectanceChange
from engine.face.space import TEXTURE_SIZE
from engine.identity import ReflectanceMaps
from engine.image import resize_bilinear

MAPS = ("diffuse_srgb", "specular_data", "roughness_data", "slope")
Way = Callable[[ReflectanceMaps, ExpressionSet, dict[str, float]], ReflectanceMaps]


def whole_maps(neutral: ReflectanceMaps, expressions: ExpressionSet, weights: dict[str, float]) -> ReflectanceMaps:
    """What `compose_maps` does, the way one would write it first: every step on whole maps, every change enlarged."""
    log_diffuse = log_specular = roughness = slope = np.float32(0.0)
    for name, weight in weights.items():
        change = expressions[name].change
        log_diffuse = log_diffuse + weight * resize_bilinear(change.log_diffuse, neutral.size)
        log_specular = log_specular + weight * resize_bilinear(change.log_specular, neutral.size)
        roughness = roughness + weight * resize_bilinear(change.roughness, neutral.size)
        slope = slope + weight * resize_bilinear(change.slope, neutral.size)
    albedo = (linear_from_srgb(neutral.diffuse_srgb) + LOG_FLOOR) * np.exp(log_diffuse) - LOG_FLOOR
    specular = (neutral.specular_data / np.float32(255) + LOG_FLOOR) * np.exp(log_specular) - LOG_FLOOR
    return ReflectanceMaps(
        bytes_from_unit(srgb_from_linear(albedo)),
        bytes_from_unit(specular),
        bytes_from_unit(neutral.roughness_data / np.float32(255) + roughness),
        (neutral.slope + slope).astype(np.float16),
    )


def inputs(size: int, count: int) -> tuple[ReflectanceMaps, ExpressionSet, dict[str, float]]:
    """Random maps of `size` texels a side and `count` random changes of the model's own size."""
    rng = np.random.default_rng(0)
    rgb, grey = (size, size, 3), (size, size)
    neutral = ReflectanceMaps(
        rng.integers(0, 255, rgb, np.uint8),
        rng.integers(0, 255, rgb, np.uint8),
        rng.integers(0, 255, grey, np.uint8),
        rng.standard_normal((size, size, 2), np.float32).astype(np.float16),
    )
    made = []
    for number in range(count):
        parts = (rng.normal(0, 0.2, (TEXTURE_SIZE, TEXTURE_SIZE, *rest)) for rest in ((3,), (3,), (), (2,)))
        made.append(Expression(str(number), np.zeros((3, 3)), ReflectanceChange(np.dstack(list(parts)))))
    return neutral, ExpressionSet("", tuple(made)), {each.name: 0.7 for each in made}


def peak_mib(way: Way, neutral: ReflectanceMaps, expressions: ExpressionSet, weights: dict[str, float]) -> float:
    """MiB held at most beside inputs and result."""
    tracemalloc.start()
    try:
        result = way(neutral, expressions, weights)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return (peak - sum(getattr(result, name).nbytes for name in MAPS)) / 2**20


def table(size: int, count: int, seconds: dict[str, float], peaks: dict[str, float]) -> str:
    """Each way's seconds and memory, and how many times more than in strips that is."""
    least_s, least_mib = seconds["strips"], peaks["strips"]
    lines = [
        f"{processor()}, {THREADS} threads in strips, 1 otherwise; maps {size} x {size}, {count} expressions",
        "",
        "| | median s | times strips | peak MiB | times strips |",
        "|---|--:|--:|--:|--:|",
    ]
    for name in seconds:
        s, mib = seconds[name], peaks[name]
        lines.append(f"| {name} | {s:.2f} | {s / least_s:.1f} | {mib:.0f} | {mib / least_mib:.1f} |")
    return "\n".join(lines)


def main() -> int:
    """Measure both ways in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--expressions", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    given = inputs(options.size, options.expressions)
    ways: dict[str, Way] = {"strips": compose_maps, "whole maps": whole_maps}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way(*given)
            times[name].append(time.perf_counter() - start)
    seconds = {name: statistics.median(each[1:]) for name, each in times.items()}  # the first is the warm-up
    print(
        table(options.size, options.expressions, seconds, {name: peak_mib(way, *given) for name, way in ways.items()})
    )
    print(f"\nLoad average at the end {os.getloadavg()[0]:.1f}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
