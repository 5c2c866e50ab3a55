"""Runs a four-ways study over rates; prints its table as Markdown and draws its frontiers.

    python3 experiments/studies/four_ways.py SERVESIM STUDY.toml FIGURE.svg RATE...
"""

import json
import statistics
import subprocess
import sys
import tempfile

MEASURES = [
    ("mean_ttft_ms", "Mean TTFT, ms"),
    ("p99_ttft_ms", "p99 TTFT, ms"),
    ("p99_itl_ms", "p99 ITL, ms"),
    ("energy_j_per_output_token", "J per output token"),
    ("usd_per_million_output_tokens", "$ per million output tokens"),
    ("slo_attainment", "Attainment"),
]
COLOURS = ["#0072b2", "#009e73", "#d55e00", "#cc79a7"]
SEEDS = 20
T_OF_19_DEGREES = 2.093  # two-sided 95 % quantile of Student's t with twenty seeds


def runs(servesim, study, rate):
    with tempfile.TemporaryDirectory() as place:
        settings = ["--set", f"workload.rate={rate}", "--set", f"seeds={list(range(1, SEEDS + 1))}"]
        command = [servesim, "run", study, *settings, "--json", "--no-figures", "-o", place + "/out"]
        return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["runs"]


def interval(values):
    return statistics.mean(values), T_OF_19_DEGREES * statistics.stdev(values) / len(values) ** 0.5


def figure(points, systems, rates):
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="960" height="540" font-family="sans-serif" font-size="12">',
           '<rect width="960" height="540" fill="white"/>']
    for panel, (measure, title) in enumerate(MEASURES):
        left, top = 50 + panel % 3 * 310, 40 + panel // 3 * 250
        highest = max(points[system, rate, measure][0] for system in systems for rate in rates) or 1
        out.append(f'<text x="{left}" y="{top - 8}" font-weight="bold">{title}</text>')
        out.append(f'<path d="M{left} {top}v170h250" fill="none" stroke="#888"/>')
        out.append(f'<text x="{left - 4}" y="{top + 10}" text-anchor="end">{highest:,.{0 if highest >= 100 else 2}f}</text>')
        out.append(f'<text x="{left - 4}" y="{top + 170}" text-anchor="end">0</text>')
        for rate in rates:
            x = left + 245 * rate / rates[-1]
            out.append(f'<text x="{x:.1f}" y="{top + 186}" text-anchor="middle">{rate:g}</text>')
        for system, colour in zip(systems, COLOURS):
            places = [(left + 245 * rate / rates[-1], top + 170 * (1 - points[system, rate, measure][0] / highest)) for rate in rates]
            line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
            out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
    for n, (system, colour) in enumerate(zip(systems, COLOURS)):
        out.append(f'<text x="{50 + 150 * n}" y="528" fill="{colour}" font-weight="bold">{system}</text>')
    out.append('<text x="910" y="528" text-anchor="end">against requests per second</text></svg>')
    return "\n".join(out) + "\n"


def main():
    servesim, study, svg, *rates = sys.argv[1:]
    rates = [float(rate) for rate in rates]
    points, systems = {}, []
    print("| Rate | System | " + " | ".join(title for _, title in MEASURES) + " |")
    print("|" + "---|" * (len(MEASURES) + 2))
    for rate in rates:
        done = runs(servesim, study, rate)
        systems = list(dict.fromkeys(run["system"] for run in done))
        for system in systems:
            cells = []
            for measure, _ in MEASURES:
                mean, half = interval([run["measures"][measure] for run in done if run["system"] == system])
                points[system, rate, measure] = mean, half
                cells.append(f"{mean:.3g} ± {half:.2g}" if mean < 1000 else f"{mean:.0f} ± {half:.0f}")
            print(f"| {rate:g} | {system} | " + " | ".join(cells) + " |")
    with open(svg, "w") as file:
        file.write(figure(points, systems, rates))


main()
