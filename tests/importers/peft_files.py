"""Result files in the format of peft's method_comparison, made by hand."""

import json
from pathlib import Path
from typing import Any


def result(experiment: str = "lora/tiny-rank8", *, accuracy: float = 660 / 1319, month: int = 1) -> dict[str, Any]:
    """Return the content of a result file of a run in this month of 2026."""
    return {
        "run_info": {
            "created_at": f"2026-{month:02}-03T04:05:06+00:00",
            "total_time": 100.0,
            "experiment_name": experiment,
            "train_config": {
                "model_id": "someone/tiny",
                "dtype": "bfloat16",
                "max_seq_length": 128,
                "batch_size": 4,
                "max_steps": 50,
                "seed": 0,
                "optimizer_type": "AdamW",
                "optimizer_kwargs": {"lr": 0.001},
                "lr_scheduler": "cosine",
            },
            "peft_config": {"peft_type": "LORA", "peft_version": f"0.{month}", "target_modules": ["v_proj", "q_proj"]},
            "error_msg": "",
        },
        "train_info": {
            "status": "success",
            "accelerator_memory_max": 2_000_000_000,
            "train_time": 70.0,
            "file_size": 4096,
            "num_trainable_params": 1000,
            "num_total_params": 101_000,
            "metrics": [
                {"step": 25, "valid accuracy": 0.1, "train time": 20.0, "eval time": 5.0},
                {"step": 50, "valid accuracy": 0.2, "train time": 22.0, "eval time": 5.0},
                {
                    "step": 50,
                    "test accuracy": accuracy,
                    "train samples": 200,
                    "train total tokens": 9000,
                    "forgetting": 0.1,
                },
            ],
        },
        "meta_info": {
            "model_info": {"sha": "aa"},
            "dataset_info": {"metamath": {"sha": "bb"}, "gsm8k": {"sha": f"cc{month}"}},
            "package_info": {"torch-version": f"2.{month}", "peft-version": f"0.{month}", "torch-commit-hash": None},
            "system_info": {"accelerator": "NVIDIA L40S", "processor": "x86_64"},
        },
    }


def write_result(folder: Path, content: dict[str, Any]) -> Path:
    """Write a result file under the name that the benchmark gives it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{content['run_info']['experiment_name'].replace('/', '--')}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
