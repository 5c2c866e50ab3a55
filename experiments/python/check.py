"""Holds that results load in one line into pandas and polars, from CSV and from Parquet, and say the same.

    servesim run experiments/quickstart.toml -o as_csv
    servesim run experiments/quickstart.toml -o as_parquet --format parquet
    python3 experiments/python/check.py as_csv as_parquet

The folders may also be of a sweep, which has no table of requests; of one seed, its intervals have to be those within runs.
"""

import math
import sys
from pathlib import Path

import pandas
import polars

TABLES = ["summary", "intervals", "comparison"]
REQUESTS = "requests"
TEXTS = {"system", "percentile_method", "steadiness", "method", "baseline", "measure", "unit", "better", "note", "status"}


def close(left, right, what):
    """Numbers as they are printed: up to the last digits of a double, and missing where the other is missing."""
    if isinstance(left, str) or isinstance(right, str):
        assert left == right, (what, left, right)
        return
    missing = [value is None or math.isnan(value) for value in (left, right)]
    assert missing[0] == missing[1], (what, left, right)
    assert missing[0] or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12), (what, left, right)


def same(left, right, what):
    """Two tables of the same rows; each an iterable of dicts."""
    left, right = list(left), list(right)
    assert len(left) == len(right) > 0, (what, len(left), len(right))
    for n, (one, other) in enumerate(zip(left, right)):
        assert list(one) == list(other), (what, list(one), list(other))
        for column in one:
            a, b = (None if v is pandas.NA else v for v in (one[column], other[column]))
            empty = [v is None or v == "" or (isinstance(v, float) and math.isnan(v)) for v in (a, b)]
            if not all(empty):
                close(a, b, f"{what}, row {n}, {column}")


def main(as_csv, as_parquet):
    is_run = (as_csv / f"{REQUESTS}.csv").exists()
    tables = TABLES + [REQUESTS] * is_run
    for table in tables:
        csv, parquet = as_csv / f"{table}.csv", as_parquet / f"{table}.parquet"
        # The one line of each.
        pandas_csv, pandas_parquet = pandas.read_csv(csv), pandas.read_parquet(parquet)
        polars_csv, polars_parquet = polars.read_csv(csv, infer_schema_length=None), polars.read_parquet(parquet)
        same(pandas_csv.to_dict("records"), pandas_parquet.to_dict("records"), f"{table}: CSV and Parquet in pandas")
        same(polars_csv.to_dicts(), polars_parquet.to_dicts(), f"{table}: CSV and Parquet in polars")
        same(pandas_csv.to_dict("records"), polars_csv.to_dicts(), f"{table}: pandas and polars")
        for frame in (polars_csv, polars_parquet):
            for column, kind in zip(frame.columns, frame.dtypes):
                full = frame[column].drop_nulls().len() > 0
                assert not full or (kind == polars.String) == (column in TEXTS), (table, column, kind)

    if not is_run:
        return check_sweep(as_csv)
    requests, summary = pandas.read_csv(as_csv / "requests.csv"), pandas.read_csv(as_csv / "summary.csv")
    means = requests[requests.status == "completed"].groupby(["system", "seed"]).ttft_s.mean() * 1e3
    for row in summary.itertuples():
        assert math.isclose(means[row.system, row.seed], row.mean_ttft_ms, rel_tol=1e-6), (row.system, row.seed)
    print(f"{len(tables)} tables, {len(requests)} requests: the same from CSV and Parquet, in pandas and polars")


def check_sweep(folder):
    """Holds that every point and system of a sweep has intervals, over seeds or within the run of one."""
    summary, intervals = pandas.read_csv(folder / "summary.csv"), pandas.read_csv(folder / "intervals.csv")
    keys = list(summary.columns[: summary.columns.get_loc("system") + 1])
    known = intervals[intervals.method.notna()]
    methods = {"seeds"} if summary.seed.nunique() > 1 else {"batch-means", "batch-shares"}
    assert set(known.method) == methods, (set(known.method), methods)
    mean = known[known.measure == "mean_ttft_ms"]
    assert ((mean.mean_low <= mean["mean"]) & (mean["mean"] <= mean.mean_high)).all()
    points, with_interval = summary[keys].drop_duplicates(), known[keys].drop_duplicates()
    assert len(points.merge(with_interval)) == len(points), "a point has no interval at all"
    print(f"{len(TABLES)} tables, {len(points)} points and systems with intervals by {', '.join(sorted(methods))}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
