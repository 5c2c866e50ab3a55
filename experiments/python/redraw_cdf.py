"""Redraws the TTFT distribution of a result folder with matplotlib, to be restyled at will.

    python3 experiments/python/redraw_cdf.py results/quickstart -o ttft.pdf
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pandas


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("results", type=Path, help="folder that `servesim run` wrote")
    arguments.add_argument("-o", "--output", type=Path, default=Path("ttft.pdf"))
    arguments = arguments.parse_args()

    parquet = arguments.results / "requests.parquet"
    requests = pandas.read_parquet(parquet) if parquet.exists() else pandas.read_csv(arguments.results / "requests.csv")
    plt.rcParams.update({"font.size": 8, "pdf.fonttype": 42})
    figure, axes = plt.subplots(figsize=(3.4, 2.2), layout="constrained")
    for (system, rows), line in zip(requests.groupby("system", sort=False), ["-", "--", ":", "-."] * 8):
        ttft_ms = rows.ttft_s.dropna().sort_values() * 1e3
        axes.plot(ttft_ms, [(n + 1) / len(ttft_ms) for n in range(len(ttft_ms))], line, label=system)
    axes.set_xscale("log")
    axes.set(xlabel="TTFT (ms)", ylabel="share of requests", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(arguments.output)


if __name__ == "__main__":
    main()
