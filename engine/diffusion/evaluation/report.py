"""Scores of every row, measure, person and expression, and how they are told: means, intervals, tables, JSON.

Averaged over the expressions of a person first, then over people; intervals are a bootstrap over people (2,000 draws).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import wilcoxon

from engine.diffusion.evaluation.measures import MAPS, PEAK

COPY, FLOOR, FORESEEABLE = "copy neutral", "floor", "foreseeable"
SIMPLE = ("mean change", "mean in local frames", "deformation transfer", "ridge regression")
"""Rows of the simple baselines that move a face."""
_DRAWS = 2000
_NONE = "–"


class Scores:
    """Row name -> measure -> (P people, E expressions) float64, NaN where nothing was measured."""

    def __init__(self, people: Sequence[int], expressions: Sequence[str]) -> None:
        self.people, self.expressions = tuple(people), tuple(expressions)
        self.values: dict[str, dict[str, np.ndarray]] = {}

    def put(self, row: str, people: slice, expression: int, measured: dict[str, np.ndarray]) -> None:
        """Enter measures, (people of the slice,) each, of the expression at place `expression`."""
        for key, values in measured.items():
            empty = np.full((len(self.people), len(self.expressions)), np.nan)
            self.values.setdefault(row, {}).setdefault(key, empty)[people, expression] = values

    def of_people(self, row: str, key: str) -> np.ndarray:
        """(P,) mean over a person's expressions; NaN where the row was not measured so."""
        values = self.values.get(row, {}).get(key)
        return np.full(len(self.people), np.nan) if values is None else nanmean(values, 1)

    def mean(self, row: str, key: str) -> float:
        """Over people, of the mean over each one's expressions."""
        return float(nanmean(self.of_people(row, key), 0))

    def excess(self, row: str, key: str) -> np.ndarray:
        """(P,) error above the floor's."""
        return self.of_people(row, key) - self.of_people(FLOOR, key)

    def numbers(self) -> dict[str, object]:
        """Everything, for JSON: means per person and per expression; null where nothing was measured."""
        tables = {
            row: {
                key: {"mean": self.mean(row, key), "people": nanmean(values, 1), "expressions": nanmean(values, 0)}
                for key, values in measures.items()
            }
            for row, measures in self.values.items()
        }
        return {"people": list(self.people), "expressions": list(self.expressions), "rows": _plain(tables)}


def nanmean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what is finite along an axis; NaN, without a warning, where nothing is."""
    finite = np.isfinite(values)
    count = finite.sum(axis)
    total = np.where(finite, values, 0.0).sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def interval(values: np.ndarray, over: np.ndarray | None = None) -> tuple[float, float]:
    """95% bootstrap interval over people of the mean of (P,) values, or of the ratio of the means of two such."""
    draws = np.random.default_rng(0).integers(len(values), size=(_DRAWS, len(values)))
    means = nanmean(values[draws], 1)
    if over is not None:
        means = means / nanmean(over[draws], 1)
    low, high = np.nanquantile(means, (0.025, 0.975)) if np.isfinite(means).any() else (np.nan, np.nan)
    return float(low), float(high)


def best_simple(scores: Scores) -> str:
    """The simple baseline with the least mean error on moving skin."""
    return min((row for row in SIMPLE if row in scores.values), key=lambda row: scores.mean(row, "mm moving"))


def report(scores: Scores, neutral_scores: Scores, models: Sequence[str]) -> str:
    """Every table as Markdown; `models` are the rows that belong to models."""
    parts = {
        "Against the simple answers": against_baselines(scores, models),
        "Geometry, mm": geometry_table(scores),
        "Change of the maps": change_table(scores),
        "The finished face": finished_table(scores),
        "The neutral's own maps": neutral_table(neutral_scores),
    }
    return "\n\n".join(f"*{title}*\n\n{table}" for title, table in parts.items())


def against_baselines(scores: Scores, models: Sequence[str]) -> str:
    """For each row of a model: its error on moving skin above the floor, as a share of the best simple baseline's (and
    Wilcoxon's p of the difference between people), and its wrinkle-band errors as shares of the copied neutral's."""
    best = best_simple(scores)
    head = ["", "mm moving above floor", f"share of *{best}*", "p", *(f"{name} band / copy" for name in MAPS)]
    rows = []
    for row in models:
        own, other = scores.excess(row, "mm moving"), scores.excess(best, "mm moving")
        _, p = wilcoxon(own - other) if (own != other).any() else (0.0, 1.0)
        cells = [row, _with_interval(own), _share(own, other), f"{p:.2g}"]
        keys = (f"{name} band" for name in MAPS)
        cells += [_share(scores.of_people(row, key), scores.of_people(COPY, key)) for key in keys]
        rows.append(cells)
    return markdown(head, rows)


def geometry_table(scores: Scores) -> str:
    """Distances in mm."""
    keys = ("mm p95", "mm lips", "mm lids")
    head = ["", "all skin", "moving skin", "above floor", "95th percentile", "lips", "lids"]
    rows = [
        [
            row,
            number(scores.mean(row, "mm"), 3),
            _with_interval(scores.of_people(row, "mm moving")),
            number(float(nanmean(scores.excess(row, "mm moving"), 0)), 3),
            *(number(scores.mean(row, key), 3) for key in keys),
        ]
        for row in scores.values
    ]
    return markdown(head, rows)


def change_table(scores: Scores) -> str:
    """PSNR of each map's change, and of its wrinkle band 1000 times the L1 error and the correlation."""
    head = ["", *(f"{name} {what}" for what in ("PSNR", "band", "band r") for name in MAPS)]
    rows = []
    for row in scores.values:
        cells = [number(_psnr(scores.of_people(row, f"{name} rmse")), 1) for name in MAPS]
        cells += [number(1000 * scores.mean(row, f"{name} band"), 2) for name in MAPS]
        cells += [number(scores.mean(row, f"{name} band r"), 2) for name in MAPS]
        rows.append([row, *cells])
    return markdown(head, rows)


_FINISHED = (
    ("rendered PSNR", "rendered psnr", 1),
    ("FLIP", "flip", 4),
    ("identity cosine", "identity cosine", 3),
    ("identity found", "identity found", 2),
    ("detail kept", "detail kept", 3),
    ("asked", "asked", 2),
    ("off target", "off target", 2),
    ("top-1", "top-1", 2),
    ("strain-roughness r", "strain-roughness r", 2),
    ("strain-wrinkle r", "strain-wrinkle r", 2),
    ("coherence gap", "coherence gap", 3),
    ("diversity mm", "diversity mm", 3),
)


def finished_table(scores: Scores, columns: Sequence[tuple[str, str, int]] = _FINISHED) -> str:
    """Look, identity, expression, coherence and diversity; columns that no row has are left out."""
    kept = [column for column in columns if any(column[1] in measures for measures in scores.values.values())]
    rows = [[row, *(number(scores.mean(row, key), digits) for _, key, digits in kept)] for row in scores.values]
    return markdown(["", *(title for title, _, _ in kept)], rows)


def neutral_table(scores: Scores) -> str:
    """PSNR of the maps that each model reads off a neutral."""
    rows = [[row, *(number(_psnr(scores.of_people(row, f"{name} rmse")), 1) for name in MAPS)] for row in scores.values]
    return markdown(["", *(f"{name} PSNR" for name in MAPS)], rows)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of ready cells."""
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(cells) + " |" for cells in rows])


def _psnr(rmse: np.ndarray) -> float:
    """Mean over people of 20 log10(peak / rmse), dB, at most 180."""
    return float(nanmean(20 * np.log10(PEAK / np.maximum(rmse, 1e-9)), 0))


def number(value: float, digits: int) -> str:
    """`value` to so many digits, a dash where there is none."""
    return f"{value:.{digits}f}" if np.isfinite(value) else _NONE


def _with_interval(values: np.ndarray) -> str:
    low, high = interval(values)
    return f"{nanmean(values, 0):.3f} [{low:.3f}, {high:.3f}]" if np.isfinite(low) else _NONE


def _share(own: np.ndarray, other: np.ndarray) -> str:
    """Ratio of the means with its interval."""
    low, high = interval(own, other)
    whole = nanmean(own, 0) / nanmean(other, 0) if nanmean(other, 0) else np.nan
    return f"{whole:.2f} [{low:.2f}, {high:.2f}]" if np.isfinite(low) else _NONE


def _plain(value: object) -> object:
    """Arrays to lists, NaN to None, all the way down."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(float(part)) for part in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
