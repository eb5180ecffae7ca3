"""Declared family of hypothesis tests of a table, made from run folders."""

from pathlib import Path

import numpy as np
import pytest

from ftlab.comparison import compare
from ftlab.comparison.predictions import ExamplePredictions, read_predictions
from ftlab.comparison.render.findings import findings
from ftlab.comparison.stats.inference import Contrast, Family
from ftlab.comparison.stats.layout import paired_difference, unpaired_difference
from ftlab.comparison.stats.pooled_variance import PooledVariances
from ftlab.comparison.stats.variance import DifferenceEstimate
from ftlab.comparison.tables import ComparedRun
from ftlab.core.errors import UserError
from ftlab.record import Metric
from tests.comparison.answered import answers, column, with_hits, with_losses, write_rows
from tests.comparison.factory import add_run, demo, showcase
from tests.fixtures.refusals import refused
from tests.fixtures.statements import states

N = 200
HARD = np.random.default_rng(9).normal(size=N)


def family(sweep: Path, reference: str | None = None) -> Family:
    (table,) = compare([sweep], reference=reference).tables
    assert table.family is not None
    return table.family


def by_row(of: Family) -> dict[str, Contrast]:
    return {c.row: c for c in of.contrasts}


def sweep_of(sweep: Path, accuracies: dict[str, float], seeds: range = range(3)) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    made = {}
    for method, accuracy in accuracies.items():
        made[method] = np.stack([answers(rng, N, accuracy + rng.normal(0, 0.006), HARD) for _ in seeds])
        for seed, hits in zip(seeds, made[method], strict=True):
            with_hits(sweep, method, seed, hits)
    return made


def test_every_row_is_tested_against_the_reference_alone(tmp_path: Path) -> None:
    hits = sweep_of(tmp_path, {"lora": 0.92, "full": 0.91, "head": 0.6})
    found = family(tmp_path)
    assert (found.reference, found.column.metric) == ("full", "accuracy")
    rows = by_row(found)
    assert set(rows) == {"lora", "head"}
    pool = PooledVariances({row: dict(enumerate(values.mean(1))) for row, values in hits.items()})
    spread, _ = paired_difference(hits["head"] - hits["full"], pool.prior_of_pair("head", "full", 3))
    head = rows["head"]
    assert head.p == pytest.approx(spread.p())
    assert (head.seeds, head.examples, head.scope) == (3, N, "methods")
    assert head.interval is not None
    assert head.interval.low < head.difference < head.interval.high < 0
    states(head.interval.source, "t", 3, 200)
    states(head.effect_name, "d_z")
    assert head.detectable is not None
    assert head.is_significant(found.alpha)
    assert not rows["lora"].is_significant(found.alpha)
    assert [found.outcome_of(row) for row in ("full", "lora", "head")] == [None, "not told apart", "worse"]
    (source,) = {interval.source for interval in found.intervals.values()}
    states(source, "t", 3, 200)
    assert found.notes == ()


def test_another_reference(tmp_path: Path) -> None:
    sweep_of(tmp_path, {"lora": 0.8, "full": 0.91, "head": 0.6})
    found = family(tmp_path, "head")
    assert [found.outcome_of(row) for row in ("full", "lora")] == ["better", "better"]
    assert found.num_tests == 3  # all pairs: any row could have been chosen
    states(found.notes[-1], "head", "afterwards", "compare.reference=head")
    with refused(UserError, "haed", "head?"):
        compare([tmp_path], reference="haed")


def test_without_full_the_first_by_name_is_the_reference(tmp_path: Path) -> None:
    sweep_of(tmp_path, {"prefix": 0.9, "lora": 0.8})
    assert family(tmp_path).reference == "lora"


def test_other_seeds_are_not_paired(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    one, other = (np.stack([answers(rng, N, 0.9 + 0.01 * s, HARD) for s in range(3)]) for _ in range(2))
    for seed in range(3):
        with_hits(tmp_path, "full", seed, one[seed])
        with_hits(tmp_path, "lora", seed + 3, other[seed])
    (found,) = family(tmp_path).contrasts
    pool = PooledVariances({"full": dict(enumerate(one.mean(1))), "lora": dict(enumerate(other.mean(1), 3))})
    priors = (pool.prior_of_row("lora", 3), pool.prior_of_row("full", 3))
    assert found.p == pytest.approx(unpaired_difference(other, one, priors)[0].p())
    assert "Welch" in found.test


def test_one_seed_each_is_about_trained_models(tmp_path: Path) -> None:
    sweep_of(tmp_path, {"lora": 0.8, "full": 0.9}, range(1))
    found = family(tmp_path)
    (lora,) = found.contrasts
    assert (lora.scope, lora.seeds) == ("trained models", 1)
    states(lora.test, "McNemar")
    states(lora.effect_name, "odds ratio")
    assert lora.interval is not None
    for interval in (lora.interval, *found.intervals.values()):
        states(interval.source, "bootstrap", 200)
    assert any("trained models" in note for note in found.notes)


def test_losses_are_exchanged_at_random_and_weighed_by_tokens(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    base, tokens = rng.gamma(2, size=N), rng.integers(5, 50, N).tolist()
    with_losses(tmp_path, "full", 0, base, tokens)
    with_losses(tmp_path, "lora", 0, base + rng.normal(0.1, 0.2, N), tokens)
    found = family(tmp_path)
    (lora,) = found.contrasts
    states(lora.test, "approximate randomisation", 200)
    assert lora.is_significant(found.alpha)
    assert found.outcome_of("lora") == "worse"  # a higher loss


def test_a_single_seed_against_several_is_about_that_seed(tmp_path: Path) -> None:
    sweep_of(tmp_path, {"full": 0.9})
    with_hits(tmp_path, "zero_shot", 0, answers(np.random.default_rng(5), N, 0.5, HARD))
    (found,) = family(tmp_path).contrasts
    assert found.scope == "trained models"
    states(found.note, "seed 0")


def test_without_predictions_seeds_alone_are_tested_and_that_is_said(tmp_path: Path) -> None:
    found = family(showcase(tmp_path))
    assert len(found.contrasts) == 6
    contrasts = [c for c in found.contrasts if c.row != "ia3"]  # of another max_length than the reference: refused
    assert by_row(found)["ia3"].p is None
    assert all(c.examples == 0 and c.p is not None and c.note for c in contrasts)
    assert any("predictions.parquet" in note for note in found.notes)


def test_one_seed_without_predictions_is_no_test(tmp_path: Path) -> None:
    found = family(demo(tmp_path))
    assert [(c.p, c.adjusted, c.interval) for c in found.contrasts] == [(None, None, None)] * 2
    assert found.intervals == {}


def test_seeds_that_do_not_scatter_are_no_test(tmp_path: Path) -> None:
    for seed in range(3):
        add_run(tmp_path, "full", seed=seed, accuracy=0.9)
        add_run(tmp_path, "majority", seed=seed, accuracy=0.2, like="head")
    of_table = family(tmp_path)
    (found,) = of_table.contrasts
    assert found.p is None
    assert found.note
    assert not of_table.intervals, "they would have no width"


def test_few_common_examples_are_not_paired(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for seed in range(2):
        with_hits(tmp_path, "full", seed, answers(rng, N, 0.9, HARD))
        with_hits(tmp_path, "lora", seed, answers(rng, N, 0.9, HARD), [f"{i + 20:016x}" for i in range(N)])
        with_hits(tmp_path, "head", seed, answers(rng, N, 0.9, HARD), [f"{i + 4:016x}" for i in range(N)])
    rows = by_row(family(tmp_path))
    states(rows["lora"].note, "180 of 200")
    assert rows["lora"].p is None  # seeds alone would call equal methods different in 14 to 52 %
    states(rows["head"].note, "4 of 200")
    assert rows["head"].examples == 196


def test_methods_that_no_seed_changes_are_tested_on_the_examples(tmp_path: Path) -> None:
    """One differing answer of 200 was called a difference with p < 0.001, as no seed scattered."""
    hits = answers(np.random.default_rng(0), N, 0.9, HARD)
    other = hits.copy()
    other[np.flatnonzero(hits)[0]] = 0
    for seed in range(3):
        with_hits(tmp_path, "full", seed, hits)
        with_hits(tmp_path, "zero_shot", seed, other)
    (found,) = family(tmp_path).contrasts
    assert (found.p, found.scope) == (1.0, "methods")
    states(found.test, "McNemar")
    assert found.interval is not None
    assert found.interval.low < found.difference < found.interval.high


def test_few_common_seeds_are_not_paired_and_no_seed_is_thrown_away(tmp_path: Path) -> None:
    """With 10 seeds against 4 of which 2 are common, a test of those 2 found 4 points in 34 % of sweeps."""
    rng = np.random.default_rng(2)
    for seed in range(10):
        with_hits(tmp_path, "full", seed, answers(rng, N, 0.95, HARD))
    for seed in range(8, 12):
        with_hits(tmp_path, "lora", seed, answers(rng, N, 0.85, HARD))
    (found,) = family(tmp_path).contrasts
    states(found.test, "Welch")
    assert found.interval is not None
    states(found.interval.source, "4 and 10")
    assert found.examples == N
    assert found.is_significant(0.05)


def test_data_that_differ_are_not_tested_by_seeds_alone(tmp_path: Path) -> None:
    for seed in range(3):
        add_run(tmp_path, "full", seed=seed)
        folder = add_run(tmp_path, "lora", seed=seed)
        path = folder / "record.json"
        path.write_text(path.read_text().replace("3f2a9c71d04be8566c1f", "aaaa9c71d04be8566c1f"))
    (table,) = compare([tmp_path], allow={"data"}).tables
    assert table.family is not None
    (found,) = table.family.contrasts
    assert found.p is None
    states(found.note, "data differ")


@pytest.mark.parametrize("broken", [b"", b"PAR1 not parquet PAR1", None, "columns", "twice", "wrong", "foreign"])
def test_predictions_that_cannot_be_used_are_a_note(tmp_path: Path, broken: bytes | str | None) -> None:
    sweep_of(tmp_path, {"lora": 0.9, "full": 0.91})
    path = next(tmp_path.glob("*lora_seed1")) / "predictions.parquet"
    texts = {"label": ["sport"] * 4, "prediction": ["sport"] * 4}
    if broken is None:
        path.unlink()
    elif isinstance(broken, bytes):
        path.write_bytes(broken)
    elif broken == "columns":
        write_rows(path.parent, {"label": ["sport"] * 4})
    elif broken == "twice":
        write_rows(path.parent, texts, ["x"] * 4)
    elif broken == "wrong":
        write_rows(path.parent, texts)
    else:
        write_rows(path.parent, texts, task="regression")
    found = family(tmp_path)
    (lora,) = found.contrasts
    assert lora.examples == 0
    assert lora.p is not None
    assert any("lora" in note and "predictions.parquet" in note for note in found.notes)


def test_a_metric_that_predictions_do_not_give(tmp_path: Path) -> None:
    for method, seed in (("full", 0), ("full", 1), ("lora", 0), ("lora", 1)):
        bleu = {"classification": {"test": {"bleu": Metric(value=20.0 + seed + len(method), n=4)}}}
        folder = add_run(tmp_path, method, seed=seed, changes={"metrics": bleu, "columns": column("bleu")})
        write_rows(folder, {"loss": [1.0, 2.0]})
    assert any("predictions.parquet" in note and "bleu" in note for note in family(tmp_path).notes)


def test_one_row_is_no_family(tmp_path: Path) -> None:
    sweep_of(tmp_path, {"lora": 0.9})
    assert compare([tmp_path]).tables[0].family is None
    sweep_of(tmp_path, {"full": 0.9})
    assert compare([tmp_path], tests=False).tables[0].family is None


@pytest.mark.slow
def test_two_hundred_runs_are_tested_and_their_predictions_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, hard = np.random.default_rng(0), np.random.default_rng(1).normal(size=2000)
    for method in ("full", "lora", "prefix", "partial", "head", "bitfit", "ia3", "adapter", "dora", "vera"):
        for seed in range(20):
            with_hits(tmp_path, method, seed, answers(rng, 2000, 0.9 + rng.normal(0, 0.005), hard))
    read: list[Path] = []

    def reading(run: ComparedRun, metric: str) -> ExamplePredictions:
        read.append(run.folder)
        return read_predictions(run, metric)

    monkeypatch.setattr("ftlab.comparison.hypothesis_tests.read_predictions", reading)
    found = family(tmp_path)
    assert [(c.seeds, c.examples) for c in found.contrasts] == [(20, 2000)] * 9
    assert len(read) == len(set(read)) == 200


def test_a_reference_without_the_metric_leaves_what_is_said_within_the_margin(tmp_path: Path) -> None:
    sweep_of(tmp_path, {"lora": 0.92, "head": 0.6})
    for seed in range(3):
        add_run(tmp_path, "full", seed=seed, changes={"metrics": {}})
    (table,) = compare([tmp_path]).tables
    assert table.family is not None
    states(" ".join(table.family.notes), "full", "accuracy")
    states(" ".join(findings(table)), "within 0.01", "head")


def test_many_rows_against_a_reference_that_was_chosen_afterwards_take_little_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All pairs count as tests then, and what is shown of a test takes ten times as long as its p value."""
    sweep_of(tmp_path, {f"m{index}": 0.9 for index in range(12)})
    full = []
    monkeypatch.setattr(DifferenceEstimate, "detectable", lambda self, alpha: full.append(alpha))
    found = family(tmp_path, "m3")
    assert found.num_tests == 12 * 11 // 2
    assert len(full) == 11
