"""Serves sessions on a hybrid model under several prefix caches, memories and rates; prints tables as Markdown.

    python3 experiments/studies/hybrid_caches.py SERVESIM
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

STUDY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "hybrid.toml")
CASES = [
    ("swe-agent-sessions", 1500, [0.05, 0.08, 0.12]),
    ("lmsys-sessions", 1600, [0.1, 0.4]),
    ("sharegpt-sessions", 1400, [0.5, 2]),
]
MEMORIES = [0.35, 0.5, 0.9]
CACHES = ["none", "vllm+", "sglang+", "marconi", "marconi, written"]
LAYERED = ["none", "marconi", "marconi, written", "none, layered", "marconi, layered", "marconi, layered, written"]
NONE_LAYERED = '\n[[system]]\nname = "none, layered"\ninherit = "none"\nscheduler = { policy = "layered-prefill" }\n'


def means(servesim, place, generator, requests, rate, memory):
    """Measures by system, means over the seeds."""
    study = os.path.join(place, "study.toml")
    with open(STUDY) as source, open(study, "w") as file:
        # Where a block carries a state, little memory holds no request of the full length: longer ones are rejected.
        text = source.read().replace("gpu_memory_utilization = 0.9\n", "fit_max_model_len = true\n")
        file.write(text + NONE_LAYERED)
    settings = [f'workload.generator="{generator}"', f"workload.requests={requests}", f"workload.arrivals.rate={rate}",
                f"system.gpu_memory_utilization={memory}"]
    arguments = [argument for setting in settings for argument in ("--set", setting)]
    command = [servesim, "run", study, *arguments, "--json", "--no-figures", "--force", "-o", os.path.join(place, "out")]
    done = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["runs"]
    by_system = {}
    for run in done:
        by_system.setdefault(run["system"], []).append(run["measures"])

    def mean(runs, name):
        values = [run[name] for run in runs if run[name] is not None]
        return statistics.mean(values) if values else float("nan")

    names = ["token_hit_rate", "median_ttft_ms", "p95_ttft_ms", "p99_itl_ms", "rejected"]
    return {system: {name: mean(runs, name) for name in names} for system, runs in by_system.items()}


def cell(measures):
    text = f"{100 * measures['token_hit_rate']:.0f} %, {measures['median_ttft_ms']:.0f}, {measures['p95_ttft_ms']:.0f}"
    return text + (f" ({measures['rejected']:.0f} rejected)" if measures["rejected"] else "")


def main():
    (servesim,) = sys.argv[1:]
    layered = []
    with tempfile.TemporaryDirectory() as place:
        for generator, requests, rates in CASES:
            print(f"\n{generator}: hit rate, P50 and P95 of TTFT in ms\n")
            print("| Memory | Sessions/s | " + " | ".join(CACHES) + " |")
            print("|---|---|" + "---|" * len(CACHES))
            for memory in MEMORIES:
                for rate in rates:
                    of = means(servesim, place, generator, requests, rate, memory)
                    print(f"| {memory} | {rate} | " + " | ".join(cell(of[system]) for system in CACHES) + " |", flush=True)
                    if memory == 0.5:
                        layered.append((generator, rate, of))
    print("\nHalf of the memory, prompts in chunks or by groups of layers: P50 and P95 of TTFT, P99 of ITL in ms\n")
    print("| Sessions | Sessions/s | " + " | ".join(LAYERED) + " |")
    print("|---|---|" + "---|" * len(LAYERED))
    for generator, rate, of in layered:
        cells = [f"{of[s]['median_ttft_ms']:.0f}, {of[s]['p95_ttft_ms']:.0f}, {of[s]['p99_itl_ms']:.0f}" for s in LAYERED]
        print(f"| {generator} | {rate} | " + " | ".join(cells) + " |")


main()
