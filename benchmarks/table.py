"""Turn pytest-benchmark's JSON into a Markdown table, a plot and a slim JSON that names no host.

    python benchmarks/table.py bench.json OUT_FOLDER

The slim JSON, as kept in benchmarks/results, can be read again in the place of the full one.
"""

from __future__ import annotations

import sys
from pathlib import Path

from d3talker.files import atomic_path, read_json, write_json

AT_MOST = ("in_M", "peak_mib", "cold_first_step_s", "warm_first_step_s")  # any other target is a least value
COLUMNS = ("ms", "load", "in_M", "times_reference", "fps", "peak_mib", "cold_first_step_s", "warm_first_step_s")


def row_of(benchmark: dict) -> dict:
    """Name, least time, ratios and which targets were met of one benchmark."""
    info = benchmark["extra_info"]
    row = {"name": benchmark["fullname"].split("/")[-1], "ms": 1e3 * benchmark["stats"]["min"]}
    row |= {key: info[key] for key in COLUMNS if key in info}
    row["targets"] = {
        key: (goal, info[key] <= goal if key in AT_MOST else info[key] >= goal)
        for key, goal in info.get("targets", {}).items()
    }
    return row


def slim(report: dict) -> dict:
    """The part of pytest-benchmark's report that the table is made of, in the same layout."""
    cpu = report["machine_info"]["cpu"]
    return {
        "datetime": report["datetime"],
        "commit_info": {"id": report["commit_info"].get("id", "unknown")},
        "machine_info": {"cpu": {key: cpu[key] for key in ("brand_raw", "count") if key in cpu}},
        "benchmarks": [
            {"fullname": b["fullname"], "stats": {"min": b["stats"]["min"]}, "extra_info": b["extra_info"]}
            for b in report["benchmarks"]
        ],
    }


def cell(row: dict, column: str) -> str:
    """A value, and behind it its target with how it fared; "-" where nothing was measured."""
    if column not in row:
        return "-"
    text = f"{row[column]:.3g}"
    if column in row["targets"]:
        goal, met = row["targets"][column]
        text += f" ({'<=' if column in AT_MOST else '>='} {goal:g}: {'met' if met else 'MISSED'})"
    return text


def markdown(report: dict) -> str:
    """The whole table under one line that says which machine it is of."""
    rows = [row_of(benchmark) for benchmark in report["benchmarks"]]
    columns = [column for column in COLUMNS if any(column in row for row in rows)]
    machine = report["machine_info"]["cpu"]
    lines = [
        f"{machine.get('brand_raw', 'CPU')}, {machine.get('count', '?')} cores, {report['datetime'][:19]}, commit "
        f"{report['commit_info'].get('id', 'unknown')[:10]}. Least times; M is a "
        "1500x1500 float32 matmul of the same run; load is the median M over the least (1 on a quiet machine).",
        "",
        "| benchmark | " + " | ".join(column.replace("_", " ") for column in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    lines += [f"| {row['name']} | " + " | ".join(cell(row, column) for column in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def plot(report: dict, path: Path) -> None:
    """Horizontal bars of every time in M, the targets as ticks."""
    import matplotlib.pyplot as plt

    rows = [row for row in map(row_of, report["benchmarks"]) if "in_M" in row]
    figure, axes = plt.subplots(figsize=(9, 0.5 + 0.28 * len(rows)))
    axes.barh([row["name"] for row in rows], [row["in_M"] for row in rows], color="#4477aa")
    goals = [(i, row["targets"]["in_M"][0]) for i, row in enumerate(rows) if "in_M" in row["targets"]]
    axes.plot([goal for _, goal in goals], [i for i, _ in goals], "|", color="#cc3311", markersize=14, label="target")
    axes.set_xscale("log")
    axes.set_xlabel("time in M (one 1500x1500 float32 matmul), smaller is better")
    axes.invert_yaxis()
    if goals:
        axes.legend()
    figure.tight_layout()
    with atomic_path(path) as partial:
        figure.savefig(partial, format="svg")
    plt.close(figure)


def main() -> int:
    """Write bench.md, bench.json and bench.svg."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    report, out = slim(read_json(Path(sys.argv[1]))), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "bench.json", report)
    text = markdown(report)
    with atomic_path(out / "bench.md") as partial:
        partial.write_text(text, encoding="utf-8")
    if any("in_M" in benchmark["extra_info"] for benchmark in report["benchmarks"]):
        plot(report, out / "bench.svg")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
