"""Runs the offline mix and each of its parts alone; prints tables as Markdown and draws how full steps are over time.

    python3 experiments/studies/offline_mix.py SERVESIM FIGURE.svg
"""

import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile

STUDY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "offline_mix.toml")
PARTS = ["chat", "code", "long answers", "labels"]
MEASURES = [
    ("total_token_throughput", "Logical tokens/s"),
    ("output_throughput", "Output tokens/s"),
    ("token_saving", "Tokens saved"),
    ("preemptions", "Preemptions"),
    ("energy_j_per_token", "J per token"),
    ("usd_per_million_tokens", "$ per million tokens"),
]
VALLEYS = ["vllm", "batchllm-256-seats", "batchllm-submission", "batchllm"]
COLOURS = ["#0072b2", "#cc79a7", "#009e73", "#d55e00"]
BUDGET = 4096
BINS = 150
T_OF_2_DEGREES = 4.303  # two-sided 95 % quantile of Student's t with three seeds


def runs(servesim, text, place, *settings):
    study = os.path.join(place, "study.toml")
    with open(study, "w") as file:
        file.write(text)
    arguments = [argument for setting in settings for argument in ("--set", setting)]
    out = os.path.join(place, "out")
    command = [servesim, "run", study, *arguments, "--json", "--no-figures", "--force", "-o", out]
    done = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["runs"]
    for run in done:
        measures = run["measures"]
        measures["usd_per_million_tokens"] = 1e6 * measures["cost_usd"] / (measures["total_token_throughput"] * measures["duration_s"])
    return done


def alone(text, number):
    """The study with part `number` alone."""
    head, *parts = text.split("[[workload.part]]")
    last, *systems = parts[-1].split("[[system]]")
    parts[-1] = last
    return head + "[[workload.part]]" + parts[number] + "[[system]]" + "[[system]]".join(systems)


def table(done):
    print("| System | " + " | ".join(title for _, title in MEASURES) + " |")
    print("|" + "---|" * (len(MEASURES) + 1))
    for system in dict.fromkeys(run["system"] for run in done):
        cells = []
        for measure, _ in MEASURES:
            values = [run["measures"][measure] for run in done if run["system"] == system]
            mean, half = statistics.mean(values), T_OF_2_DEGREES * statistics.stdev(values) / len(values) ** 0.5
            cells.append(f"{mean:.0f} ± {half:.0f}" if mean >= 1000 else f"{mean:.3g} ± {half:.1g}")
        print(f"| {system} | " + " | ".join(cells) + " |")


def steps(place, system):
    """When each step of the first seed began, how long it took, its tokens."""
    with open(os.path.join(place, "out", "steps.csv")) as file:
        rows = [row for row in csv.DictReader(file) if row["system"] == system]
    tokens = [int(row["prefill_tokens"]) + int(row["decode_requests"]) for row in rows]
    return [(float(row["start_s"]), float(row["duration_s"]), tokens) for row, tokens in zip(rows, tokens)]


def binned(rows, span):
    """Mean tokens of the steps that began in each stretch of time."""
    sums = [[0, 0] for _ in range(BINS)]
    for start, _, tokens in rows:
        place = sums[min(int(BINS * start / span), BINS - 1)]
        place[0] += tokens
        place[1] += 1
    return [tokens / count if count else 0 for tokens, count in sums]


def valleys(place, svg):
    of = {system: steps(place, system) for system in VALLEYS}
    span = max(row[0] for rows in of.values() for row in rows)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="960" height="620" font-family="sans-serif" font-size="12">',
           '<rect width="960" height="620" fill="white"/>']
    print("| System | Steps | Steps below half the budget | Time in them |")
    print("|---|---|---|---|")
    for panel, (system, colour) in enumerate(zip(VALLEYS, COLOURS)):
        rows, top = of[system], 30 + 145 * panel
        low = [row for row in rows if row[2] < BUDGET / 2]
        seconds = sum(row[1] for row in low) / sum(row[1] for row in rows)
        print(f"| {system} | {len(rows)} | {100 * len(low) / len(rows):.0f} % | {100 * seconds:.0f} % |")
        points = " ".join(f"{60 + 880 * n / BINS:.1f},{top + 110 * (1 - mean / BUDGET):.1f}" for n, mean in enumerate(binned(rows, span)))
        out.append(f'<text x="60" y="{top - 6}" font-weight="bold" fill="{colour}">{system}</text>')
        out.append(f'<path d="M60 {top}v110h880" fill="none" stroke="#888"/>')
        out.append(f'<text x="56" y="{top + 8}" text-anchor="end">{BUDGET}</text><text x="56" y="{top + 110}" text-anchor="end">0</text>')
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    out.append(f'<text x="940" y="610" text-anchor="end">tokens per step over {span:.0f} s</text></svg>')
    with open(svg, "w") as file:
        file.write("\n".join(out) + "\n")


def main():
    servesim, svg = sys.argv[1:]
    with open(STUDY) as file:
        text = file.read()
    with tempfile.TemporaryDirectory() as place:
        print("## All four\n")
        table(runs(servesim, text, place))
        for number, part in enumerate(PARTS):
            print(f"\n## {part.capitalize()} alone\n")
            table(runs(servesim, alone(text, number), place))
        runs(servesim, text + "\n[output]\nsteps = true\n", place, "seeds=[1]")
        print("\n## How full steps are\n")
        valleys(place, svg)


main()
