"""Growth of cost: `python benchmarks/scaling.py [data|sweep|length|ranks]`, all four where none is named.

data: rows from 10³ to 10⁶, tokenised for the first time and found in the cache the second time. sweep: records of 10 to
1,000 runs, compared. length: a training step of texts of 64 to 512 tokens, in parts and whole. ranks: one process and
two (gloo), of one thread each, full and LoRA. Each measurement is a fresh process. Figures go to a JSON file, pictures
to docs/.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import meter
import plot
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
ROWS = (1_000, 10_000, 100_000, 1_000_000)
RUNS = (10, 100, 1_000)
LENGTHS = (64, 128, 256, 512)
STEPS, BATCH = 4, 4  # of the parts that train
RANK_STEPS = 20  # the first two of DDP take longer than the others

Line = dict[str, Any]


def tokenising(rows: int, folder: Path) -> None:
    """Tokenise that many rows; print seconds of each stage, and the peak of memory above the libraries."""
    from ftlab import models
    from ftlab.data.build import build_data
    from ftlab.models.devices import find_devices
    from ftlab.models.load import load_task_and_tokenizer
    from tests.fixtures.compose import composed

    config = composed(
        *("model=hf", f"model.name={folder / 'model'}"),
        *("dataset=text_files", f"dataset.source.train={folder}/rows.jsonl"),
        *("dataset.val_fraction=0.01", "dataset.test_fraction=0.01", "dataset.max_length=64", "budget=epochs3"),
        *("tracker=none", "hardware=cpu", "method=full"),
    )
    base = meter.resident("VmRSS")
    meter.reset_peak()
    wall, cpu = time.perf_counter(), time.process_time()
    data = build_data(config, find_devices(config.hardware))
    read = time.perf_counter() - wall, time.process_time() - cpu
    architecture = models.architecture(config.model)
    task, tokenizer = load_task_and_tokenizer(config.model, lambda _: data.task.for_architecture(architecture))
    data.tokenize(tokenizer, model="tiny", task=task)
    took = time.perf_counter() - wall, time.process_time() - cpu
    found = {"read_s": read[0], "read_cpu_s": read[1], "seconds": took[0], "cpu_s": took[1]}
    print(json.dumps(found | {"peak_mb": (meter.resident("VmHWM") - base) / 1e6}))


def data(work: Path, most: int) -> list[Line]:
    """Return how reading and tokenising grow with the number of rows, cold and from the cache."""
    from memory_of_reading import save_model

    found = []
    for rows in (size for size in ROWS if size <= most):
        folder = work / f"rows{rows}"
        folder.mkdir()
        save_model(folder / "model", "bert")
        with (folder / "rows.jsonl").open("w") as file:
            for number in range(rows):
                words = " ".join(f"word{(number * step) % 601}" for step in range(1, 41))
                file.write(json.dumps({"text": f"{words} {number}", "label": f"class {number % 3}"}) + "\n")
        for time_ in ("first time", "second time"):
            command = [sys.executable, __file__, "--tokenise", str(rows), "--folder", str(folder)]
            said = _ran(command, {"FTLAB_CACHE": str(folder / "cache")})
            found.append({"rows": rows, "time": time_, **json.loads(said.splitlines()[-1])})
    return found


def comparing(runs: int) -> None:
    """Make records of that many runs, and compare them; print the seconds of comparing and of writing the page."""
    from ftlab.comparison import compare
    from ftlab.comparison.render.files import write_comparison
    from tests.comparison.factory import METHODS, add_run

    with TemporaryDirectory() as place:
        root, methods = Path(place), list(METHODS)
        for index in range(runs):
            add_run(root, methods[index % 9], seed=index // 9 % 5, settings={"dataset.name": f"data_{index // 45}"})
        meter.reset_peak()
        wall, cpu = time.perf_counter(), time.process_time()
        comparison = compare([root])
        compared = time.process_time() - cpu
        write_comparison(comparison, root)
        took = {"seconds": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "compare_cpu_s": compared}
    print(json.dumps(took | {"peak_mb": meter.resident("VmHWM") / 1e6}))


def sweep(work: Path, most: int) -> list[Line]:
    """Return how a comparison grows with the number of runs."""
    command = [sys.executable, __file__, "--compare"]
    return [{"runs": runs, **json.loads(_ran([*command, str(runs)]).splitlines()[-1])} for runs in RUNS if runs <= most]


def trained(work: Path, *overrides: str, name: str) -> tuple[Line, list[Line]]:
    """Run ftlab on long texts; return its record, and what the meter says of each of its processes."""
    rows = work / "long.jsonl"
    if not rows.exists():
        words = " ".join(f"the market and word number {number} rose" for number in range(120))
        lines = [json.dumps({"text": f"{number} {words}", "label": "ab"[number % 2]}) for number in range(64)]
        rows.write_text("\n".join(lines))
    settings = [
        *("model=minilm", "dataset=text_files", "dataset.columns.text=text", "dataset.columns.label=label"),
        *(f"dataset.source.{split}={rows}" for split in ("train", "val", "test")),
        *("method=full", "budget=steps", "budget.validations=1", f"optim.batch_size={BATCH}", "budget.val_rows=4"),
        *(f"budget.steps={STEPS}", "budget.test_rows=4", "tracker=none", "robustness=none", "hardware=cpu"),
        *("hardware.measure_latency=false", f"sweep.dir={work / name}"),
    ]
    marks = work / f"{name}.marks"
    with meter.installed() as entry:
        environment = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), entry]), meter.MARKS: str(marks)}
        _ran([sys.executable, str(ROOT / "train.py"), *settings, *overrides], environment)
    (record,) = (json.loads(path.read_text()) for path in (work / name).glob("*/record.json"))
    return record, meter.read(marks)


def length(work: Path, most: int) -> list[Line]:
    """Return how a step of training grows with the length of its texts."""
    found = []
    for tokens, limit in product((size for size in LENGTHS if size <= most), ("auto", "null")):
        settings = [f"dataset.max_length={tokens}", f"speed.micro_batch_tokens={limit}"]
        record, (marks,) = trained(work, *settings, name=f"length{tokens}{limit}")
        above = (marks["peak_bytes"] - marks["base_bytes"]) / 1e6
        took = {"seconds": marks["train_s"] / STEPS, "cpu_s": marks["train_cpu_s"] / STEPS, "peak_mb": above}
        told = {"tokens": tokens, "micro_batch_tokens": limit, "tokens_seen": record["cost"]["tokens_seen"]}
        found.append(told | took)
    return found


def ranks(work: Path, most: int) -> list[Line]:
    """Return how the same steps go with one process and with two, of one thread each."""
    found = []
    for method, count in product(("full", "lora"), range(1, min(most, 2) + 1)):
        settings = ["dataset.max_length=256", "hardware.threads=1", f"method={method}", f"budget.steps={RANK_STEPS}"]
        more = ["hardware=ddp_cpu"] if count == 2 else []
        record, marks = trained(work, *settings, *more, name=f"ranks{method}{count}")
        took = {"seconds": max(one["train_s"] for one in marks), "cpu_s": sum(one["train_cpu_s"] for one in marks)}
        peak = max(one["peak_bytes"] - one["base_bytes"] for one in marks) / 1e6
        told = {"ranks": count, "method": method, "tokens_seen": record["cost"]["tokens_seen"]}
        found.append(told | took | {"peak_mb": peak})
    return found


PARTS = {"data": data, "sweep": sweep, "length": length, "ranks": ranks}
PICTURES = {  # part -> title, axis, what distinguishes its lines
    "data": ("Reading and tokenising", "rows", "time"),
    "sweep": ("Comparing the runs of a sweep", "runs", None),
    "length": ("A step of full fine-tuning, 4 texts", "tokens", "micro_batch_tokens"),
    "ranks": ("Twenty steps of 4 texts", "ranks", "method"),
}


def draw(part: str, lines: list[Line], folder: Path) -> None:
    """Draw processor seconds and peak memory of a part, where it has a picture."""
    if part not in PICTURES:
        return
    title, across, by = PICTURES[part]
    folder.mkdir(parents=True, exist_ok=True)
    for figure, up, suffix in (("cpu_s", "processor seconds", ""), ("peak_mb", "peak memory, MB", "_memory")):
        series: dict[str, list[tuple[float, float]]] = {}
        for line in lines:
            name = line[by] if by else up.partition(",")[0]
            series.setdefault(name, []).append((line[across], max(line[figure], 1e-3)))
        plot.write(folder / f"scaling_{part}{suffix}.svg", title, across, up, series)


def _ran(command: list[str], environment: dict[str, str] | None = None) -> str:
    settings = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]), "TOKENIZERS_PARALLELISM": "false"}
    told = subprocess.run(
        command, env=os.environ | settings | (environment or {}), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if told.returncode:
        sys.exit(f"{' '.join(command)}\nended with {told.returncode}:\n{(told.stdout + told.stderr)[-3000:]}")
    return told.stdout


def main() -> None:
    """Measure the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="*", choices=[*PARTS, []], help="all where none is named")
    parser.add_argument("--output", type=Path, default=ROOT / "outputs" / "scaling.json")
    parser.add_argument("--most", type=int, default=max(ROWS), help="leave larger sizes out")
    parser.add_argument("--pictures", type=Path, default=ROOT / "docs")
    parser.add_argument("--tokenise", type=int, help=argparse.SUPPRESS)  # these are how it calls itself
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--compare", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.tokenise:
        return tokenising(asked.tokenise, asked.folder)
    if asked.compare:
        return comparing(asked.compare)
    found = json.loads(asked.output.read_text()) if asked.output.exists() else {}
    for part in asked.part or PARTS:
        with TemporaryDirectory(prefix="ftlab-scaling-") as work:
            lines = PARTS[part](Path(work), asked.most)
        table = Table(*lines[0], title=part, title_justify="left")
        for line in lines:
            table.add_row(*(f"{value:,.3f}" if isinstance(value, float) else str(value) for value in line.values()))
        Console().print(table)
        found[part] = {"load": os.getloadavg(), "lines": lines}
        asked.output.parent.mkdir(parents=True, exist_ok=True)
        asked.output.write_text(json.dumps(found, indent=1))
        draw(part, lines, asked.pictures)


if __name__ == "__main__":
    sys.path[1:1] = [str(ROOT), str(ROOT / "src")]
    main()
