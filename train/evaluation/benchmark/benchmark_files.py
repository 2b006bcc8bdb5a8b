"""CSV and JSON files of a benchmark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from train.evaluation import strata
from train.evaluation.benchmark.afis_minutiae import MATCHERS
from train.evaluation.benchmark.results import SetRows, Table
from train.evaluation.fvc import Comparison
from train.evaluation.output import make_folder, rounded, write_csv, write_summary

Summary = dict[str, Any]
PAIRS = "pairs"  # folder of the lists of pairs
MEASURES = ("score", "seconds", "correlation", "mapped", "bending", "confirmed", "aligned")


def write_pairs(name: str, comparisons: list[Comparison], out: Path) -> None:
    """Write out/pairs/NAME.csv, the pairs of a set as `python -m model register --pairs` reads."""
    make_folder(out / PAIRS)
    rows = [{"a": pair.a.resolve(), "b": pair.b.resolve()} for pair in comparisons]
    write_csv(out / PAIRS / f"{name}.csv", rows)


def write(sets: list[SetRows], tables: dict[str, Table], about: Summary, out: Path) -> Summary:
    """Write benchmark.json, summary.csv, conditions.csv and comparisons.csv.

    Args:
        sets: the rows.
        tables: by set, see `results.tables`.
        about: what describes the benchmark: sets, methods, witness, versions.
        out: the folder.

    Returns:
        The content of benchmark.json: `about`, "metrics" by set and method, "conditions" by set,
        group and method; undefined metrics are null.
    """
    metrics = {
        name: {method: rounded(values) for method, values in table.metrics().items()}
        for name, table in tables.items()
    }
    conditions = {
        name: {
            group: {method: rounded(table.group_metrics(method, chosen)) for method in table.rows}
            for group, chosen in table.groups().items()
        }
        for name, table in tables.items()
    }
    summary = {**about, "metrics": metrics, "conditions": conditions}
    _write_table(
        out / "summary.csv",
        [
            {"set": name, "method": method, **values}
            for name, methods in metrics.items()
            for method, values in methods.items()
        ],
    )
    _write_table(
        out / "conditions.csv",
        [
            {"set": name, "group": group, "method": method, **values}
            for name, groups in conditions.items()
            for group, methods in groups.items()
            for method, values in methods.items()
        ],
    )
    _write_table(out / "comparisons.csv", [line for of in sets for line in _comparison_lines(of)])
    write_summary(out / "benchmark.json", summary)
    return summary


def _comparison_lines(of: SetRows) -> list[dict[str, Any]]:
    """Return one line per pair and method; cells are empty where nothing was measured."""
    lines = []
    for method, rows in of.rows.items():
        for fact, row in zip(of.facts, rows, strict=True):
            line = {"set": of.name, "method": method, "a": row["a"], "b": row["b"]}
            line |= {"genuine": int(row["genuine"])}
            line |= {name: _cell(fact["conditions"].get(name)) for name in strata.CONDITIONS}
            line |= {name: _cell(row.get(name)) for name in MEASURES}
            for matcher in MATCHERS:
                line[f"{matcher}_before"] = _cell(fact["matchers"].get(matcher))
                line[f"{matcher}_after"] = _cell(row["matchers"].get(matcher))
            lines.append(line | {"fault": row["fault"]})
    return lines


def _cell(value: float | bool | None) -> float | int | None:
    if isinstance(value, bool):
        return int(value)
    return None if value is None else round(value, 6)


def _write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows of different columns; a cell is empty where a row lacks the column."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    write_csv(path, [{column: row.get(column) for column in columns} for row in rows])
