"""Forward and backward pass as they are and under torch.compile: `python benchmarks/compiled.py [model]`.

LoRA on q and v, one piece of an optimizer step: 8 texts of 128 tokens for an encoder, one of 512 for a language model.
Both take turns in one process; seconds are the processor's. The compiler's cache is empty at first.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

ROOT = Path(__file__).resolve().parents[1]
ROUNDS, PASSES = 3, 5


def piece(name: str) -> tuple[nn.Module, Callable[[nn.Module], torch.Tensor]]:
    """Return a model with LoRA, and what gives its loss on one piece of a step."""
    from ftlab.models.resolve import resolve_model
    from tests.fixtures.compose import composed

    folder = resolve_model(composed(f"model={name}").model).folder
    if name == "minilm":
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=5, dtype=torch.float32)
        ids, told = torch.randint(1000, 20_000, (8, 128)), {"labels": torch.zeros(8, dtype=torch.long)}
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        ids, told = torch.randint(1000, 20_000, (1, 512)), {"logits_to_keep": 64}
    lora = LoraConfig(r=8, lora_alpha=16, lora_dropout=0.05, task_type="SEQ_CLS" if "labels" in told else "CAUSAL_LM")

    def loss(own: nn.Module) -> torch.Tensor:
        said = own(input_ids=ids, attention_mask=torch.ones_like(ids), **told)
        return said.loss if "labels" in told else said.logits.logsumexp(-1).mean()

    return get_peft_model(model, lora).train(), loss


def timed(model: nn.Module, loss: Callable[[nn.Module], torch.Tensor]) -> float:
    """Return processor seconds of one forward and backward pass."""
    begun = time.process_time()
    loss(model).backward()
    return time.process_time() - begun


def main() -> None:
    """Measure the models asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="*", default=["minilm", "smollm2-135m"])
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    for name in asked.model:
        plain, loss = piece(name)
        compiled = torch.compile(plain)
        timed(plain, loss)
        begun = time.perf_counter()
        timed(compiled, loss)
        print(f"{name}: the first compiled pass took {time.perf_counter() - begun:.0f} s by the clock")
        for _ in range(ROUNDS):
            own, new = (median(timed(model, loss) for _ in range(PASSES)) for model in (plain, compiled))
            print(f"{name}: as it is {own:.3f} s, compiled {new:.3f} s: {own / new:.2f}x")


if __name__ == "__main__":
    sys.path[1:1] = [str(ROOT), str(ROOT / "src")]
    with TemporaryDirectory() as empty:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = empty
        main()
