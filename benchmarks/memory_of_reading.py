"""Peak memory of a run against the size of its data: `python benchmarks/memory_of_reading.py 30 300`.

Each size, in MB of jsonl, is a run of its own in a fresh process and cache: running text, a tiny random model and 50
steps, so that what is seen is the data's. Printed are the peaks of resident memory up to the end of each stage, apart
from what the process takes with its libraries loaded, and the time of reading and of tokenising. With `--twice` a
second run follows each, which finds its rows and tokens in the cache.
"""

import argparse
import json
import multiprocessing
import os
import random
import re
import shutil
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORDS = 600
WORDS_OF_A_ROW = 300  # about 2 kB
STEPS = 50
EVERY_S = 0.02


def write_rows(path: Path, megabytes: float) -> int:
    """Write rows of random words, each with a label, until the file is that large; return how many."""
    draw = random.Random(0)
    words = [f"word{number}" if number % 3 else "the" for number in range(WORDS)]
    written = rows = 0
    with path.open("w") as file:
        while written < megabytes * 1e6:
            text = " ".join(draw.choices(words, k=WORDS_OF_A_ROW))
            written += file.write(json.dumps({"text": text, "label": f"class {rows % 3}"}) + "\n")
            rows += 1
    return rows


def save_model(folder: Path, kind: str = "gpt2") -> Path:
    """Write a tiny random model whose tokenizer knows the words; return its folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    from tests.tiny import save_tiny

    save_tiny(kind, folder)
    vocabulary = {"<eos>": 0, "<unk>": 1, "the": 2, **{f"word{number}": number + 3 for number in range(WORDS)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    known = {"eos_token": "<eos>", "pad_token": "<eos>", "unk_token": "<unk>", "model_max_length": 256}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **known).save_pretrained(folder)
    return folder


class Peaks(threading.Thread):
    """Looks at the resident memory of this process all the time, own and mapped from files; Linux only.

    Attributes:
        own: highest so far, in bytes.
        mapped: of files, shared with the system's cache; highest so far, in bytes.
    """

    def __init__(self) -> None:
        """Begin with nothing seen."""
        super().__init__(daemon=True)
        self.own = self.mapped = 0

    def run(self) -> None:
        """Look, until the process ends."""
        while True:
            status = Path("/proc/self/status").read_text()
            own, mapped = (int(found) * 1024 for found in re.findall(r"Rss(?:Anon|File):\s+(\d+)", status))
            self.own, self.mapped = max(self.own, own), max(self.mapped, mapped)
            time.sleep(EVERY_S)


def measure(folder: Path, rows: Path, name: str, answer: Any, task: str = "text") -> None:
    """Run once in this process; send stage -> (own bytes, mapped bytes, seconds since the stage before)."""
    os.environ["FTLAB_CACHE"] = str(folder / "cache")
    from ftlab.data.base import DataModule
    from ftlab.train import run
    from tests.fixtures.compose import composed

    kind = {"text": ("gpt2", "plain_text_files"), "classification": ("bert", "text_files")}
    model, preset = kind[task]
    config = composed(
        *("model=hf", f"model.name={save_model(folder / 'model', model)}", f"dataset={preset}", "method=full"),
        *(f"dataset.source.train={rows}", "dataset.val_fraction=0.01", "dataset.test_fraction=0.01"),
        *("dataset.max_length=128", f"budget.steps={STEPS}", "budget.epochs=null", "budget.train_rows=null"),
        *("budget.val_rows=50", "budget.test_rows=50", "budget.validations=1", "optim.batch_size=16"),
        *("tracker=none", "hardware.threads=1", "hardware.accelerator=cpu"),
    )
    peaks = Peaks()
    peaks.start()
    found: dict[str, tuple[int, int, float]] = {}
    since = time.monotonic()

    def mark(stage: str) -> None:
        nonlocal since
        time.sleep(2 * EVERY_S)
        found[stage] = peaks.own, peaks.mapped, time.monotonic() - since
        since = time.monotonic()

    tokenize = DataModule.tokenize

    def watched(self: DataModule, *args: Any, **settings: Any) -> None:
        mark("read")
        tokenize(self, *args, **settings)
        mark("tokenised")

    mark("loaded")
    DataModule.tokenize = watched  # type: ignore[method-assign]
    run.run(config, folder / name, [])
    mark("trained")
    answer.put(found)


def measured(folder: Path, rows: Path, name: str, task: str = "text") -> dict[str, tuple[int, int, float]]:
    """Return what `measure` finds in a fresh process."""
    context = multiprocessing.get_context("spawn")
    answer: Any = context.Queue()
    process = context.Process(target=measure, args=(folder, rows, name, answer, task))
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"the run of {rows} ended with {process.exitcode}")
    found: dict[str, tuple[int, int, float]] = answer.get()
    return found


def main() -> None:
    """Print a line per run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("megabytes", nargs="+", type=float)
    parser.add_argument("--twice", action="store_true")
    told = parser.parse_args()
    print(f"{'MB':>6} {'rows':>8} {'run':>4} | own memory, MB above the libraries: read, tokenised, trained | ", end="")
    print("of files | read s, tokenise s, rows/s")
    for size in told.megabytes:
        with TemporaryDirectory() as place:
            folder = Path(place)
            rows = folder / "rows.jsonl"
            count = write_rows(rows, size)
            for number in range(1 + told.twice):
                found = measured(folder, rows, f"run{number}")
                start = found["loaded"]
                own = [(found[stage][0] - start[0]) / 1e6 for stage in ("read", "tokenised", "trained")]
                mapped = (found["trained"][1] - start[1]) / 1e6
                read_s, tokenise_s = found["read"][2], found["tokenised"][2]
                print(f"{size:6.0f} {count:8,} {number + 1:4} | {own[0]:8.0f} {own[1]:8.0f} {own[2]:8.0f} | ", end="")
                print(f"{mapped:6.0f} | {read_s:6.1f} {tokenise_s:6.1f} {count / (read_s + tokenise_s):8,.0f}")
                shutil.rmtree(folder / f"run{number}")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
