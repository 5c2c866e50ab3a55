"""Runs the 65 mixes of BlendServe's figure 11; prints how much both ends gain over depth-first order, and draws it as a heat map.

    python3 experiments/studies/blendserve_grid.py SERVESIM FIGURE.svg
"""

import csv
import os
import statistics
import subprocess
import sys
import tempfile

STUDY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "blendserve_grid.toml")
DENSITY, SHARING = "workload.mix.density", "workload.mix.sharing"
PUBLISHED = (1.14, 1.34)  # BlendServe (arXiv 2411.16102), figure 11
PUBLISHED_MEAN = 1.2253
# Its column of 5 % sharing.
COLUMN = {0.8: 1.15, 0.85: 1.14, 0.9: 1.19, 0.95: 1.16, 1.0: 1.21, 1.05: 1.25, 1.1: 1.23, 1.15: 1.25, 1.2: 1.24, 1.25: 1.23,
          1.3: 1.34, 1.35: 1.23, 1.4: 1.23}
LOW, HIGH = (255, 255, 217), (8, 88, 158)  # colours of the lower and the upper end of the scale
SCALE = (1.10, 1.40)


def sweep(servesim, place):
    out = os.path.join(place, "out")
    subprocess.run([servesim, "sweep", STUDY, "-q", "-o", out], check=True, stdout=subprocess.DEVNULL)
    with open(os.path.join(out, "summary.csv")) as file:
        return list(csv.DictReader(file))


def per_run(rows, measure):
    return {(float(row[DENSITY]), float(row[SHARING]), row["seed"], row["system"]): float(row[measure]) for row in rows}


def gains(rows):
    """Of each mix and seed, what both ends make of what depth first makes."""
    speed = per_run(rows, "total_token_throughput")
    of = {}
    for density, sharing, seed, system in speed:
        if system == "blendserve":
            gain = speed[density, sharing, seed, system] / speed[density, sharing, seed, "nanoflow-dfs"]
            of.setdefault((density, sharing), []).append(gain)
    return of


def table(means):
    sharings = sorted({sharing for _, sharing in means})
    print("| Density | " + " | ".join(f"{100 * sharing:.0f} %" for sharing in sharings) + " | published, 5 % |")
    print("|" + "---|" * (len(sharings) + 2))
    for density in sorted({density for density, _ in means}):
        cells = [f"{means[density, sharing]:.2f}" for sharing in sharings]
        print(f"| {density:.2f} | " + " | ".join(cells) + f" | {COLUMN[density]:.2f} |")


def summary(gains, rows):
    means = {point: statistics.mean(of) for point, of in gains.items()}
    values = list(means.values())
    inside = sum(PUBLISHED[0] <= value <= PUBLISHED[1] for value in values)
    print(f"\n{len(values)} mixes: {min(values):.3f} to {max(values):.3f} times, mean {statistics.mean(values):.3f}; {inside} of them within "
          f"{PUBLISHED[0]} to {PUBLISHED[1]}, the published mean is {PUBLISHED_MEAN}.")
    share, hits = per_run(rows, "optimum_share"), per_run(rows, "token_hit_rate")
    for system in ("nanoflow-dfs", "blendserve"):
        print(f"{system}: {100 * statistics.mean(value for key, value in share.items() if key[3] == system):.1f} % of the practical optimum.")
    kept = min(value / hits[(*key[:3], "nanoflow-dfs")] for key, value in hits.items() if key[3] == "blendserve")
    print(f"Least sharing kept: {100 * kept:.1f} %.")
    return means


def colour(value):
    part = min(max((value - SCALE[0]) / (SCALE[1] - SCALE[0]), 0), 1)
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in zip(LOW, HIGH))


def heat_map(means, svg):
    densities, sharings = (sorted({point[axis] for point in means}) for axis in (0, 1))
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="960" height="330" font-family="sans-serif" font-size="13">',
           '<rect width="960" height="330" fill="white"/>']
    for (density, sharing), value in sorted(means.items()):
        x, y = 90 + 64 * densities.index(density), 30 + 46 * (len(sharings) - 1 - sharings.index(sharing))
        ink = "white" if value > statistics.mean(SCALE) else "black"
        edge = "none" if PUBLISHED[0] <= value <= PUBLISHED[1] else "#d55e00"
        out.append(f'<rect x="{x + 1}" y="{y + 1}" width="62" height="44" fill="{colour(value)}" stroke="{edge}" stroke-width="2"/>')
        out.append(f'<text x="{x + 32}" y="{y + 28}" text-anchor="middle" fill="{ink}">{value:.2f}</text>')
    for place, density in enumerate(densities):
        out.append(f'<text x="{122 + 64 * place}" y="280" text-anchor="middle">{density:.2f}</text>')
    for place, sharing in enumerate(reversed(sharings)):
        out.append(f'<text x="82" y="{58 + 46 * place}" text-anchor="end">{100 * sharing:.0f} %</text>')
    out.append('<text x="506" y="302" text-anchor="middle">compute density</text><text x="20" y="20">sharing</text>')
    out.append(f'<text x="940" y="322" text-anchor="end">times depth-first order; framed: outside {PUBLISHED[0]} to {PUBLISHED[1]}</text></svg>')
    with open(svg, "w") as file:
        file.write("\n".join(out) + "\n")


def main():
    servesim, svg = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        rows = sweep(servesim, place)
    of = gains(rows)
    table({point: statistics.mean(values) for point, values in of.items()})
    heat_map(summary(of, rows), svg)


main()
