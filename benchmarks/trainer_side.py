"""The same work as a user would write it: `transformers.Trainer` and PEFT, on rows of a jsonl file.

Stands for itself: nothing here is ftlab's but the meter, which is the same on both sides, and the count of arithmetic.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

IGNORE_INDEX = -100


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def labelled(rows: list[dict[str, str]], tokenizer: Any, classes: list[str], length: int) -> list[dict[str, Any]]:
    """Tokenise texts with a class each."""
    encoded = tokenizer([row["text"] for row in rows], truncation=True, max_length=length)
    return [
        {"input_ids": ids, "attention_mask": mask, "labels": classes.index(row["label"])}
        for ids, mask, row in zip(encoded["input_ids"], encoded["attention_mask"], rows, strict=True)
    ]


def answered(rows: list[dict[str, str]], tokenizer: Any, length: int) -> list[dict[str, Any]]:
    """Tokenise prompts with answers by the chat template; the loss is on the answer."""
    examples = []
    for row in rows:
        asked = [{"role": "user", "content": row["prompt"]}]
        said = [*asked, {"role": "assistant", "content": row["response"]}]
        prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, tokenize=False)
        whole = tokenizer.apply_chat_template(said, tokenize=False)
        given = len(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        # what the template writes behind the end of the answer is no part of it
        ids = tokenizer(whole.rstrip("\n"), add_special_tokens=False)["input_ids"][:length]
        labels = [IGNORE_INDEX] * min(given, len(ids)) + ids[given:]
        examples.append({"input_ids": ids, "attention_mask": [1] * len(ids), "labels": labels})
    return examples


def tuned(model: Any, asked: argparse.Namespace) -> Any:
    """Make the model trainable by the method."""
    if asked.method == "lora":
        kind = TaskType.SEQ_CLS if asked.task == "classify" else TaskType.CAUSAL_LM
        return get_peft_model(model, LoraConfig(task_type=kind, r=8, lora_alpha=16, lora_dropout=0.05))
    if asked.method in ("head", "partial"):
        model.requires_grad_(False)
        model.classifier.requires_grad_(True)
    if asked.method == "partial":
        for layer in model.base_model.encoder.layer[-2:]:
            layer.requires_grad_(True)
    return model


def loaded(asked: argparse.Namespace, classes: list[str]) -> Any:
    if asked.task == "instruct":
        return AutoModelForCausalLM.from_pretrained(asked.model, dtype=torch.float32)
    still = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0} if asked.no_dropout else {}
    return AutoModelForSequenceClassification.from_pretrained(
        asked.model, num_labels=len(classes), dtype=torch.float32, **still
    )


def arguments(asked: argparse.Namespace, out: Path) -> TrainingArguments:
    best = {"train_sampling_strategy": "group_by_length"} if asked.best else {}
    return TrainingArguments(
        output_dir=str(out),
        num_train_epochs=asked.epochs,
        per_device_train_batch_size=asked.micro_batch or asked.batch_size,
        gradient_accumulation_steps=asked.batch_size // (asked.micro_batch or asked.batch_size),
        per_device_eval_batch_size=32,
        learning_rate=asked.lr,
        lr_scheduler_type="linear",
        warmup_steps=0.1,  # a share of all steps where it is below 1
        weight_decay=0.01,
        seed=asked.seed,
        save_strategy="no",
        report_to="none",
        use_cpu=not asked.gpu,
        bf16=asked.gpu,  # as ftlab does there by itself
        disable_tqdm=True,
        **best,
    )


@torch.no_grad()
def loss_per_token(model: Any, rows: list[dict[str, Any]], collate: Any) -> float:
    """Return the mean over all answers' tokens, as ftlab counts it; Trainer's own is a mean over batches."""
    model.eval()
    total, tokens = 0.0, 0
    for start in range(0, len(rows), 4):
        batch = collate(rows[start : start + 4]).to(model.device)
        count = int((batch["labels"][:, 1:] != IGNORE_INDEX).sum())
        total, tokens = total + float(model(**batch).loss) * count, tokens + count
    return total / tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", choices=["classify", "instruct"], required=True)
    parser.add_argument("--method", choices=["full", "lora", "head", "partial"], required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with train, val and test .jsonl")
    parser.add_argument("--out", type=Path, required=True)
    for name, kind in (("model", str), ("lr", float)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    for name in ("max-length", "epochs", "batch-size", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--micro-batch", type=int, help="examples per forward pass, where fewer than a step has")
    for name in ("best", "gpu", "no-dropout", "metered", "test"):
        parser.add_argument(f"--{name}", action="store_true")
    asked = parser.parse_args()

    set_seed(asked.seed)
    tokenizer = AutoTokenizer.from_pretrained(asked.model)
    rows = {split: read(asked.data / f"{split}.jsonl") for split in ("train", "val", "test")}
    instruct = asked.task == "instruct"
    classes = [] if instruct else sorted({row["label"] for row in rows["train"]})
    examples = {
        split: answered(some, tokenizer, asked.max_length)
        if instruct
        else labelled(some, tokenizer, classes, asked.max_length)
        for split, some in rows.items()
    }
    collate = DataCollatorForSeq2Seq(tokenizer) if instruct else DataCollatorWithPadding(tokenizer)
    model = tuned(loaded(asked, classes), asked)
    callbacks = []
    if asked.metered:
        from meter import transformers_callback

        callbacks.append(transformers_callback())
    trainer = Trainer(
        model=model,
        args=arguments(asked, asked.out),
        train_dataset=examples["train"],
        eval_dataset=examples["val"],
        data_collator=collate,
        callbacks=callbacks,
    )
    trainer.train()
    loss = loss_per_token(model, examples["val"], collate) if instruct else trainer.evaluate()["eval_loss"]
    found = {"loss": loss, "tokens": asked.epochs * sum(len(row["input_ids"]) for row in examples["train"])}
    if asked.test:
        found["test_loss"] = trainer.predict(examples["test"]).metrics["test_loss"]
    trainer.save_model()
    if asked.metered:
        from ftlab.models.flops import count_matmul_params

        found["flops"] = count_matmul_params(model).flops(found["tokens"])
    (asked.out / "result.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
