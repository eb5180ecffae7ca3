"""Error rate and power of the comparison on real runs: equal methods called different, and real differences found.

Heads of BBC news are trained on the cached features of the frozen encoder, one per seed, which decides on init, order
and dropout. `python benchmarks/a_a.py` prints what docs/statistics.md shows.
"""

import argparse
from dataclasses import dataclass, replace

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from torch import nn
from torch.nn import functional as F

from ftlab import models
from ftlab.comparison.stats.layout import paired_difference, unpaired_difference
from ftlab.comparison.stats.one_seed import mcnemar
from ftlab.comparison.stats.variance import Array, DifferenceEstimate
from ftlab.config.compose import resolve
from ftlab.config.paths import conf_dir
from ftlab.data.dataset import build_dataset
from ftlab.data.loading.batches import Loading
from ftlab.data.rows.row import canonical_json, example_ids
from ftlab.tasks.sequence_losses import capture_head_inputs, head_layers

ALPHA = 0.05
EVERY = 4  # of the training rows one in so many: few rows, and seeds that differ


@dataclass(frozen=True)
class Features:
    """What the frozen encoder makes of the texts; x are (rows, size), y are class ids."""

    train_x: torch.Tensor
    train_y: torch.Tensor
    test_x: torch.Tensor
    test_y: torch.Tensor
    ids: list[str]  # of the test examples
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Runs:
    """Test results of one method, one row per seed: (seeds, examples)."""

    predictions: Array
    hits: Array
    losses: Array


def features(max_length: int = 64) -> Features:
    """Return the features of BBC news that the default encoder's head reads."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = resolve(compose("train", overrides=["sweep.name=a_a", "model=minilm", "dataset=bbc_news"]))
    rows = build_dataset(
        config.dataset,
        budget=config.budget,
        loading=Loading(micro_batch_size=16, eval_batch_size=16),
        max_length=max_length,
    )
    task = rows.task.for_architecture(models.architecture(config.model))
    base = models.load_base_model(config.model, task, config.quant)
    base.model.eval()
    layers = head_layers(base.model, task)
    made = {}
    with torch.no_grad():
        for split, step in (("train", EVERY), ("test", 1)):  # rows stand class by class
            texts = [row.values for row in rows.splits[split][::step]]
            parts = []
            for start in range(0, len(texts), 32):
                batch = base.tokenizer(
                    [values["text"] for values in texts[start : start + 32]],
                    truncation=True,
                    max_length=max_length,
                    padding=True,
                    return_tensors="pt",
                )
                with capture_head_inputs(layers, batch["attention_mask"]) as seen:
                    base.model(**batch)
                parts.append(seen[0].float())
            made[split] = torch.cat(parts), torch.tensor([task.labels.index(values["label"]) for values in texts])
    mean, scale = made["train"][0].mean(0), made["train"][0].std(0)
    made = {split: ((x - mean) / scale, y) for split, (x, y) in made.items()}
    ids = example_ids(canonical_json(row.values) for row in rows.splits["test"])
    return Features(*made["train"], *made["test"], ids, task.labels)


def heads(of: Features, seeds: int, *, dropout: float = 0.3, epochs: int = 3, lr: float = 0.02) -> Runs:
    """Train a linear head per seed by stochastic gradient descent, and test it."""
    predictions, losses = [], []
    for seed in range(seeds):
        torch.manual_seed(seed)
        head = nn.Linear(of.train_x.shape[1], len(of.labels))
        optimizer = torch.optim.SGD(head.parameters(), lr=lr)
        for _ in range(epochs):
            for batch in torch.randperm(len(of.train_y)).split(16):
                loss = F.cross_entropy(head(F.dropout(of.train_x[batch], dropout)), of.train_y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        with torch.no_grad():
            logits = head(of.test_x)
        predictions.append(logits.argmax(-1).numpy())
        losses.append(F.cross_entropy(logits, of.test_y, reduction="none").double().numpy())
    guesses = np.stack(predictions)
    return Runs(guesses, (guesses == of.test_y.numpy()).astype(np.float64), np.stack(losses))


def found(spread: DifferenceEstimate) -> bool:
    """Whether a difference is called one."""
    return abs(spread.difference) > spread.half_width(ALPHA)


def against_itself(values: Array, draws: int, size: int = 3, seed: int = 0) -> dict[str, float]:
    """Split the runs of one method at random into two groups, many times; return how often each test sees two methods.

    Args:
        values: contributions to a metric, (seeds, examples).
        draws: random splits.
        size: seeds in a group.
        seed: of the splits.
    """
    rng = np.random.default_rng(seed)
    counts = {"paired": 0, "unpaired": 0}
    if np.isin(values, (0.0, 1.0)).all():
        counts["McNemar, one seed each"] = 0
    for _ in range(draws):
        order = rng.permutation(len(values))
        one, other = values[order[:size]], values[order[size : 2 * size]]
        counts["paired"] += found(paired_difference(one - other)[0])
        counts["unpaired"] += found(unpaired_difference(one, other)[0])
        if len(counts) > 2:
            counts["McNemar, one seed each"] += mcnemar(one[0], other[0]) < ALPHA
    return {name: count / draws for name, count in counts.items()}


def against_another(one: Array, other: Array, draws: int, size: int = 3, seed: int = 0) -> tuple[float, float, float]:
    """Draw seeds of two methods many times; return the difference by all seeds, how often it is found, and predicted.

    The examples are the same in all draws, so what is predicted leaves out that others may be drawn: the power is that
    of the seeds' part, with the difference that these examples have.
    """
    rng = np.random.default_rng(seed)
    _, parts = paired_difference(one - other)
    spread = parts.expected_difference(size, parts.num_examples)
    predicted = _power_on_these_examples(spread, parts.difference)
    hits = 0
    for _ in range(draws):
        chosen = rng.permutation(len(one))[:size]
        hits += found(paired_difference(one[chosen] - other[chosen])[0])
    return parts.difference, hits / draws, predicted


def _power_on_these_examples(spread: DifferenceEstimate, effect: float, draws: int = 200_000) -> float:
    """Return the test's power where the seeds vary and the examples stay, by simulation of its statistic."""
    rng = np.random.default_rng(0)
    df = spread.seed_df
    estimates = spread.seed_variance * rng.chisquare(df, draws) / df
    first, second = (replace(spread, seed_variance=s, example_variance=1.0 - s).half_width(ALPHA) for s in (1.0, 0.0))
    thresholds = (estimates * first + spread.example_variance * second) / np.sqrt(estimates + spread.example_variance)
    return float(np.mean(np.abs(rng.normal(effect, spread.seed_variance**0.5, draws)) > thresholds))


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--draws", type=int, default=2000)
    asked = parser.parse_args()
    of = features()
    runs = heads(of, asked.seeds)
    scores = runs.hits.mean(1)
    print(
        f"{asked.seeds} heads, {len(of.ids)} test examples: accuracy {scores.mean():.4f}, standard deviation "
        f"over seeds {scores.std(ddof=1):.4f}; {asked.draws} splits into 3 and 3"
    )
    for name, values in (("accuracy", runs.hits), ("loss", runs.losses)):
        _, parts = paired_difference(values[: asked.seeds // 2] - values[asked.seeds // 2 :][: asked.seeds // 2])
        share = (
            parts.seed * parts.num_examples / parts.interaction
        )  # of the variance over seeds: what shifts, by what wavers
        rates = ", ".join(f"{test} {rate:.1%}" for test, rate in against_itself(values, asked.draws).items())
        print(f"A/A {name}: {rates} (seeds' variance × examples / interaction: {share:.2f})")
    for epochs in (2, 4, 6):
        other = heads(of, asked.seeds, epochs=epochs)
        for name, a, b in (("accuracy", other.hits, runs.hits), ("loss", other.losses, runs.losses)):
            difference, rate, predicted = against_another(a, b, asked.draws)
            print(
                f"{epochs} epochs against 3, {name}: {difference:+.4f} found in {rate:.1%}, predicted {predicted:.1%}"
            )


if __name__ == "__main__":
    main()
