"""Runs of tiny models inside the test's own process."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader

from ftlab import methods, models, tasks
from ftlab.config.run_config import RunConfig
from ftlab.config.task import Task
from ftlab.core.batch import IGNORE_INDEX, Batch
from ftlab.methods.base import TuningMethod
from ftlab.models import Base
from ftlab.tasks.base import TaskModule
from ftlab.train.optim import optimizer_factory
from tests.fixtures.checkpoints import tiny
from tests.fixtures.compose import composed
from tests.fixtures.tasks import CLASSIFICATION, INSTRUCTION, MULTILABEL, REGRESSION, TOKEN_CLASSIFICATION

LABELS = ("business", "sport", "tech")
TAGS = ("O", "B-PER", "I-PER")


def task_named(name: str) -> Task:
    """Return a task as a data module would."""
    if name == "classification":
        return replace(replace(CLASSIFICATION, labels=LABELS), label_shares=(0.5, 0.3, 0.2))
    if name == "multilabel":
        return replace(replace(MULTILABEL, labels=LABELS), label_shares=(0.6, 0.5, 0.1))
    if name == "regression":
        scaled = {"label_shares": (0.0, 0.0), "target_means": (3.0, -1.0), "target_scales": (0.5, 10.0)}
        return replace(replace(REGRESSION, labels=("valence", "arousal")), **scaled)
    if name == "token_classification":
        return replace(replace(TOKEN_CLASSIFICATION, labels=TAGS), label_shares=(0.7, 0.2, 0.1))
    return INSTRUCTION


def config_for(method: str, kind: str, *overrides: str) -> RunConfig:
    """Return the configuration of a method on a tiny model, with what the method's `expect` gives it there."""
    given = composed(f"method={method}").method.expect.get("given", {})
    settings = [f"method.{key}={value}" for key, value in given.items()]
    return composed(f"method={method}", "model=hf", f"model.name={tiny(kind)}", *settings, *overrides)


def task_for_model(config: RunConfig, task: Task) -> Task:
    """Return the task as the run would pose it to this method and model."""
    architecture = models.architecture(config.model)
    return methods.build_method(config.method).pose_task(task, architecture, config.loss)


def fresh_base(config: RunConfig, task: Task, *, seed: int = 0) -> Base:
    """Return the base with a head drawn from this seed; `task` as posed."""
    seed_everything(seed, verbose=False)
    return models.load_base_model(config.model, task, config.quant)


def applied(config: RunConfig, task: Task, *, seed: int = 0) -> tuple[TuningMethod, nn.Module]:
    """Return a method and the model that it made trainable; `task` as posed."""
    method = methods.build_method(config.method)
    return method, method.apply(fresh_base(config, task, seed=seed), task)


def batch_for(task: Task, *, examples: int = 4, tokens: int = 12, seed: int = 0) -> Batch:
    """Return random tokens with the last two of each example padded, except for the first one's."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 200, (examples, tokens), generator=generator)
    if task.head.auto_class == "AutoModelForSequenceClassification":
        ids[:, -1] = ids[1:, -3] = 1  # T5 pools at its end token, id 1 in the tiny one; it stands once in each text
    mask = torch.ones_like(ids)
    mask[1:, -2:] = 0
    ids[mask == 0] = 0  # the padding token of every tiny model
    batch = {"input_ids": ids, "attention_mask": mask, "index": torch.arange(examples)}
    if task.head.auto_class == "AutoModelForTokenClassification":
        batch |= _labelled_words(mask, len(task.labels))
    elif task.name == "multilabel":
        batch["labels"] = torch.randint(0, 2, (examples, len(task.labels)), generator=generator).float()
    elif task.name == "regression":
        batch["labels"] = torch.randn(examples, len(task.labels), generator=generator)
    elif task.labels:
        batch["labels"] = torch.arange(examples) % len(task.labels)
    else:
        batch["labels"] = ids.masked_fill(mask == 0, IGNORE_INDEX)
        batch["labels"][:, :4] = IGNORE_INDEX  # the prompt
    if task.head.auto_class == "AutoModelForSeq2SeqLM":
        written = ids[:, 4:] if task.cloze is None else ids[:, :1]
        if task.cloze is None:
            batch["labels"] = written.masked_fill(mask[:, 4:] == 0, IGNORE_INDEX)
        batch["decoder_input_ids"] = torch.cat([torch.zeros_like(written[:, :1]), written[:, :-1]], dim=1)
    if task.cloze is not None and task.head.auto_class == "AutoModelForMaskedLM":
        batch["input_ids"][:, 3] = 4  # the tiny tokenizer's mask token
    return batch


def _labelled_words(mask: torch.Tensor, labels: int) -> Batch:
    """Return a label for every second token, which begins a word; the last word of each example is cut off."""
    places = torch.arange(mask.shape[1])[None].repeat(len(mask), 1)
    begins = (places % 2 == 1) & mask.bool()
    given = ((places + torch.arange(len(mask))[:, None]) % labels).masked_fill(~begins, IGNORE_INDEX)
    counts = begins.sum(1)
    tags = torch.full((len(mask), int(counts.max()) + 1), IGNORE_INDEX)
    where = torch.full_like(tags, -1)
    for row, count in enumerate(counts.tolist()):
        tags[row, : count + 1] = torch.cat([given[row, begins[row]], torch.tensor([0])])
        where[row, :count] = places[row, begins[row]]
    return {"labels": given, "tags": tags, "places": where}


def declared(expect: dict[str, Any], key: str, kind: str, task: Task) -> Any:
    """Return what a method's `expect` says of a model and task: one value for all, or the first that fits of several.

    Several stand under `bert-classification` (model and task), `classification` or `bert`; what is said of
    classification goes for every task that gives the model a new head of the same kind.
    """
    value = expect.get(key)
    if not isinstance(value, dict):
        return value
    names = [f"{kind}-{task.name}", task.name, kind]
    if task.head.peft_type == CLASSIFICATION.head.peft_type:
        names[2:2] = [f"{kind}-{CLASSIFICATION.name}", CLASSIFICATION.name]
    return next((value[name] for name in names if name in value), None)


def module_for(config: RunConfig, task: Task, *, steps: int, seed: int = 0) -> TaskModule[Any]:
    """Return the LightningModule of a run of so many steps; `task` as posed."""
    method, model = applied(config, task, seed=seed)
    return tasks.build_task(task, model, method, optimizer_factory(config.optim, total_steps=steps))


def give_trainer(module: TaskModule[Any], *, accumulate: int = 1, every: int = 1) -> Any:
    """Let `training_step` be called by itself: its trainer, which is returned, is at step 0, and logs nothing."""
    trainer: Any = SimpleNamespace(
        accumulate_grad_batches=accumulate, max_steps=100, log_every_n_steps=every, global_step=0
    )
    module.trainer, module.log = trainer, lambda *_, **__: None
    return trainer


def two_epochs(
    module: TaskModule[Any], batches: list[Batch], folder: Path, *, checkpoint: Path | None = None
) -> list[float]:
    """Train two epochs, with a checkpoint between them; return the losses of all steps."""
    losses: list[float] = []
    step = module.training_step

    def training_step(batch: Batch, batch_idx: int) -> torch.Tensor:
        loss = step(batch, batch_idx)
        losses.append(loss.item())
        return loss

    checkpoints = ModelCheckpoint(folder / "checkpoints", "{step}", every_n_train_steps=len(batches), save_top_k=-1)
    module.training_step = training_step
    trainer = Trainer(
        accelerator="cpu",
        max_epochs=2,
        max_steps=2 * len(batches),
        logger=False,
        callbacks=[*module.method.callbacks(), checkpoints],
        limit_val_batches=0,
        log_every_n_steps=1,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    loader = DataLoader(batches, batch_size=None, generator=torch.Generator())  # as DataModule has it
    trainer.fit(module, loader, loader, ckpt_path=checkpoint, weights_only=True)
    return losses
