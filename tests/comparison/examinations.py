"""A sweep whose runs were planned, searched for and examined, with values made by hand."""

from pathlib import Path

from ftlab.record import (
    Check,
    CostEstimate,
    Fit,
    Forgetting,
    Latency,
    MemoryEstimate,
    Metric,
    Perturbed,
    Progress,
    Robustness,
    Slice,
    find_records,
)
from tests.comparison.factory import ACCURACY, METHODS, add_run

# method -> drop by typos, loss on general text after training, verdict
FOUND = {"full": (0.031, 4.9, "overfitting"), "lora": (0.024, 3.3, "fits"), "prefix": (0.018, 3.1, "underfitting")}
GENERAL = 3.05  # loss of the base


def examined_sweep(sweep: Path, *, part: str = "short, up to 812 characters") -> Path:
    """Three methods and seeds; `part` is the name of a slice, which comes from the data."""
    for method in FOUND:
        for seed in range(3):
            add_run(sweep, method, seed=seed)
    for folder, record in list(find_records(sweep)):
        typos, after, verdict = FOUND[record.method]
        typos += 0.002 * record.seed
        assert record.cost is not None
        latency = Latency(
            single_example_s=0.0121, batched_s=0.0034, batch_size=32, merged_status="the base itself was trained"
        )
        spent = {"latency": latency, "training_flops": 1.23e14, "energy_joules": 7200.0, "energy_status": "ok"}
        changes = {
            "cost": record.cost.model_copy(update=spent),
            "predicted": prediction(record.method),
            "robustness": robustness(typos, after, verdict if record.seed else "fits", part),
            "checks": record.checks | {"adapter_off": check(record.method)},
        }
        record.model_copy(update=changes).write(folder)
    for lr, loss in ((1e-3, 0.31), (2e-3, 0.24)):
        best = Progress(step=100, steps=100, loss=0.2, validated=loss, best=loss)
        trial = {"role": "trial", "progress": best, "watched": ACCURACY[0], "metrics": {}}
        add_run(sweep, "lora", seed=0, settings={"optim.lr": lr}, changes=trial, curves=False)
    return sweep


def prediction(method: str) -> CostEstimate:
    """Return a plan that is 10 % above the method's usual memory and time."""
    _, trainable, _, seconds, _, memory, _ = METHODS[method]
    peak = round(1.1 * memory)
    parts = MemoryEstimate(weights=1, gradients=1, optimizer=1, activations=1, baseline=1, peak=peak)
    return CostEstimate(
        memory_bytes=parts,
        train_s=1.1 * seconds,
        trainable=trainable,
        total=22_861_445,
        optimizer_steps=100,
        micro_batch_size=16,
        probe_steps=4,
        probe_s=3.0,
    )


def robustness(typos: float, after: float, verdict: str, part: str) -> Robustness:
    """Return what was examined of one run."""

    def perturbed(drop: float, seen: float) -> Perturbed:
        return Perturbed(changed=1.0, seen=seen, metrics={}, drop={"accuracy": drop, "macro_f1": drop})

    return Robustness(
        seconds=12.0,
        rows=200,
        perturbations={"typos": perturbed(typos, 0.98), "upper": perturbed(0.0, 0.0)},
        slices=[
            Slice(by="length", value=part, n=112, metrics={"accuracy": Metric(value=0.91, n=112)}),
            Slice(by="length", value="long", n=111, metrics={"accuracy": Metric(value=0.97, n=111)}),
        ],
        forgetting=Forgetting(
            source="ftlab.data.sources.bbc_news",
            rows=50,
            before={"loss": Metric(value=GENERAL, n=3000)},
            after={"loss": Metric(value=after, n=3000)},
        ),
        fit=Fit.model_validate(
            {"train": 0.1, "val": 0.3, "gap": 0.2, "reference": 1.6, "train_rows": 200, "verdict": verdict}
        ),
    )


def check(method: str) -> Check:
    """Return the check that the adapter leaves the base alone."""
    if method == "full":
        return Check(status="skipped", detail="the base is trained")
    return Check(status="passed", detail="largest difference of a logit 0")
