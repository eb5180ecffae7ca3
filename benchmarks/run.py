"""ftlab against what a user would write instead, `transformers.Trainer` and PEFT: `python benchmarks/run.py [case]`.

Both sides do the same work on the same rows, each run in fresh processes, in turn: ftlab, Trainer with its defaults,
Trainer at its best settings, and the same with small forward passes whose gradients it accumulates. Figures are ratios
of pairs, and their median; shares of the matmul peak are those of training's useful arithmetic. Where other programs
run beside it, trust the ratio of processor time. `--profile` shows what ftlab's steps of a case are spent on instead.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import meter
from cases import CASES, LATER_JOBS, SMALLEST, Case, write_rows
from rich.console import Console
from rich.table import Table
from sides import ROOT, Bench, Found, ftlab_run, take_in_orphans, trainer_run

PEERS = ("best", "default", "accumulating")  # goals are against the first two
ALPACA = ROOT.parent / "shared" / "data" / "alpaca" / "alpaca_en_demo.json"
_MATMUL = """
import sys, time, torch
gpu = sys.argv[1] == "gpu"
size, kind = (8192, dict(device="cuda", dtype=torch.bfloat16)) if gpu else (2048, {})
a, b = torch.randn(size, size, **kind), torch.randn(size, size, **kind)
best = []
for _ in range(8):
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(4): a @ b
    if gpu: torch.cuda.synchronize()
    best.append((time.perf_counter() - wall, time.process_time() - cpu))
work = 4 * 2 * size**3
print(work / min(w for w, _ in best), work / min(c for _, c in best))
"""


def prepared(case: Case, asked: argparse.Namespace, work: Path, entry: str) -> Bench:
    """Fetch the model and write the rows; return what all runs share."""
    from transformers import AutoTokenizer

    from ftlab.core.downloads import cache_dir
    from ftlab.models.resolve import resolve_model
    from tests.fixtures.compose import composed
    from tests.tiny import save_tiny

    classify = asked.classify
    if case.name == SMALLEST.name:
        model, classify = save_tiny("bert", work / "model"), work / "texts.jsonl"
        told = ["model=hf", f"model.name={model}"]
        texts = [f"the market and the bank {n} rose by {n * n}" for n in range(64)]
        rows = [{"text": text, "label": "even" if n % 2 else "odd"} for n, text in enumerate(texts)]
        classify.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        told = [f"model={case.model}"]
        model = resolve_model(composed(*told).model).folder
    tokenizer = AutoTokenizer.from_pretrained(model)

    def fits(row: dict[str, str]) -> bool:
        if "text" in row:  # long texts are cut, on both sides alike
            return True
        said = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["response"]}]
        whole = tokenizer.apply_chat_template(said, tokenize=False)
        return len(tokenizer(whole, add_special_tokens=False)["input_ids"]) <= case.max_length

    write_rows(case, work / "data", asked.instruct, classify, fits)
    return Bench(
        model=model,
        overrides=told,
        data=work / "data",
        work=work,
        cache=cache_dir(),
        threads=asked.threads,
        device=asked.device,
        entry=entry,
        extra=tuple(asked.ftlab),
    )


def measured(bench: Bench, case: Case, peers: list[str], pairs: int, say: Any) -> dict[str, list[Found]]:
    """Return each side's runs; the k-th ones of all sides are a pair."""
    found: dict[str, list[Found]] = {"ftlab": [], **{peer: [] for peer in peers}}
    for seed in range(pairs):
        sides = list(found)
        for side in sides[seed % len(sides) :] + sides[: seed % len(sides)]:
            one = ftlab_run(bench, case, seed) if side == "ftlab" else trainer_run(bench, case, seed, side)
            found[side].append(one)
            say(f"{case.name} {side} {seed + 1}/{pairs}: {one.seconds:.1f} s, {one.cpu_s:.1f} s of CPU")
    for one in (one for runs in found.values() for one in runs):
        if one.tokens != found["ftlab"][0].tokens:
            sys.exit(f"{case.name}: the sides saw different numbers of tokens: {one.tokens} and others")
        if one.record_s and abs(one.record_s / one.seconds - 1) > 0.1 and case.kind == "train":
            say(f"[yellow]{case.name}: ftlab's record says {one.record_s:.1f} s, the meter {one.seconds:.1f} s")
    return found


def summary(case: Case, found: dict[str, list[Found]], peak: tuple[float, float]) -> dict[str, Any]:
    """Return the case's figures: medians of pairs."""
    ours = found["ftlab"]
    flops = max(runs[0].flops for runs in found.values())
    lines = {}
    for side, runs in found.items():
        ratios = {
            "wall_ratio": median(peer.seconds / own.seconds for peer, own in zip(runs, ours, strict=True)),
            "cpu_ratio": median(peer.cpu_s / own.cpu_s for peer, own in zip(runs, ours, strict=True)),
        }
        if case.kind == "train":
            above = [(peer.above_bytes, own.above_bytes) for peer, own in _zip(runs, ours)]
            ratios |= {
                "tokens_per_s": median(one.tokens / one.seconds for one in runs),
                "memory_ratio": median(own / max(peer, 1) for peer, own in above),
                "memory_ratio_whole": median(own.peak_bytes / peer.peak_bytes for peer, own in _zip(runs, ours)),
            }
        if case.kind != "start":
            ratios |= {
                "share_of_peak": median(flops / one.seconds for one in runs) / peak[0],
                "share_of_peak_cpu": median(flops / one.cpu_s for one in runs) / peak[1],
            }
        lines[side] = {
            "seconds": median(one.seconds for one in runs),
            "cpu_s": median(one.cpu_s for one in runs),
            "loss": median(one.loss for one in runs),
            "peak_mb": median(one.peak_bytes for one in runs) / 1e6,
            "base_mb": median(one.base_bytes for one in runs) / 1e6,
            **ratios,
        }
    theirs = median(one.seconds for side, runs in found.items() if side != "ftlab" for one in runs)
    later = [gap / theirs for one in ours for gap in one.later_s]
    if later:
        lines["ftlab"]["later_jobs"] = median(later)
    return lines


def _zip(peers: list[Found], ours: list[Found]) -> Any:
    return zip(peers, ours, strict=True)


def met(case: Case, lines: dict[str, Any]) -> dict[str, bool]:
    """Return which goals are met, by the clock."""
    goals = {}
    for peer, goal in zip(PEERS, case.goals, strict=False):
        if peer not in lines:
            continue
        goals[f"{goal}x against {peer}"] = lines[peer]["wall_ratio"] >= goal
        if case.memory is not None:
            goals[f"{case.memory}x memory of {peer}"] = lines[peer]["memory_ratio"] <= case.memory
    if "later_jobs" in lines["ftlab"]:
        goals[f"later jobs within {LATER_JOBS} of a start"] = lines["ftlab"]["later_jobs"] <= LATER_JOBS
    return goals


def show(case: Case, lines: dict[str, Any], goals: dict[str, bool], console: Console) -> None:
    """Print the case's table."""
    table = Table(title=f"{case.name}: {case.steps} steps of {case.batch_size} rows", title_justify="left")
    trains = case.kind == "train"
    heads = ["", "seconds", "CPU s", "wall ratio", "CPU ratio", "loss"]
    heads += ["tokens/s", "peak above base, MB", "ours/its", "whole, MB", "ours/its"] * trains
    heads += ["of matmul peak", "by CPU"] * (case.kind != "start")
    for head in heads:
        table.add_column(head, justify="right" if head else "left")
    for side, line in lines.items():
        cells = [side if side == "ftlab" else f"Trainer, {side}"]
        cells += [f"{line['seconds']:.1f}", f"{line['cpu_s']:.1f}"]
        cells += [f"{line['wall_ratio']:.2f}", f"{line['cpu_ratio']:.2f}", f"{line['loss']:.4f}"]
        if trains:
            cells += [f"{line['tokens_per_s']:,.0f}", f"{line['peak_mb'] - line['base_mb']:,.0f}"]
            cells += [f"{line['memory_ratio']:.2f}", f"{line['peak_mb']:,.0f}", f"{line['memory_ratio_whole']:.2f}"]
        if "share_of_peak" in line:
            cells += [f"{line['share_of_peak']:.0%}", f"{line['share_of_peak_cpu']:.0%}"]
        table.add_row(*cells)
    console.print(table)
    if "later_jobs" in lines["ftlab"]:
        console.print(f"  each later job of a sweep: {lines['ftlab']['later_jobs']:.2f} of the script's start")
    for goal, reached in goals.items():
        console.print(f"  [{'green' if reached else 'red'}]{'met' if reached else 'not met'}[/]: {goal}")


def matmul_peak(threads: int, device: str) -> tuple[float, float]:
    """Return operations per second of a large product, in fp32 or on a GPU in bf16: by the clock, per CPU second."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-c", _MATMUL, device]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    by_clock, by_cpu = map(float, said.stdout.split())
    return by_clock, by_cpu


def main() -> None:
    """Run the cases asked for, and write what is found after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", choices=[*CASES, []], help="all where none is named")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--peers", default=",".join(PEERS), help="Trainer's settings to measure against, of these")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu", help="gpu: CUDA, in bf16-mixed")
    parser.add_argument("--rows", type=int, help="of training, fewer than the case has: whole steps")
    parser.add_argument("--smallest", action="store_true", help="a tiny case: does it run at all?")
    parser.add_argument("--profile", action="store_true", help="what ftlab's steps are spent on, instead")
    parser.add_argument("--ftlab", action="append", default=[], metavar="KEY=VALUE", help="an override for ftlab")
    parser.add_argument("--instruct", type=Path, default=ALPACA if ALPACA.exists() else None, help="rows as Alpaca's")
    parser.add_argument("--classify", type=Path, help="jsonl with text and label; BBC news where none is named")
    parser.add_argument("--output", type=Path, default=ROOT / "outputs" / "benchmark.json")
    asked = parser.parse_args()
    cases = [SMALLEST] if asked.smallest else [CASES[name] for name in asked.case or CASES]
    if asked.rows:
        cases = [replace(case, rows=asked.rows, val_rows=min(case.val_rows, asked.rows // 2)) for case in cases]
    console = Console(width=max(Console().width, 150))
    take_in_orphans()
    results = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    for case in cases:
        with TemporaryDirectory(prefix="ftlab-bench-") as place, meter.installed() as entry:
            bench = prepared(case, asked, Path(place), entry)
            if asked.profile:
                console.print(f"[bold]{case.name}[/]")
                found = Path(place) / "profile"
                ftlab_run(bench, case, 0, profile=found)
                print(found.read_text() if found.exists() else f"{case.steps} steps are too few: see --rows")
                continue
            peak = matmul_peak(asked.threads, asked.device)
            runs = measured(bench, case, asked.peers.split(","), asked.pairs, console.print)
        lines = summary(case, runs, peak)
        goals = met(case, lines)
        show(case, lines, goals, console)
        results[case.name] = {
            "threads": asked.threads,
            "device": asked.device,
            "load": os.getloadavg(),
            "matmul_flops": {"by_clock": peak[0], "per_cpu_s": peak[1]},
            "sides": lines,
            "goals": goals,
            "runs": {side: [asdict(one) for one in some] for side, some in runs.items()},
        }
        asked.output.parent.mkdir(parents=True, exist_ok=True)
        asked.output.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    sys.path[1:1] = [str(ROOT), str(ROOT / "src")]
    main()
