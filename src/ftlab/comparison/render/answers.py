"""Answers side by side: what each row of a table generated for the same few test prompts."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ftlab.comparison.formats import printable
from ftlab.comparison.render.shown_examples import TEXT, WHERE, read_columns, runs_of_one_seed
from ftlab.comparison.tables import ComparedRun, Table
from ftlab.core.escapes import escape_controls
from ftlab.core.shorten import shorten_text

_SHOWN, _DIFFERING = 6, 3  # examples that are shown, and of these at most so many because the answers differ
_MAX_CHARACTERS = 600  # of a text
_MAX_CHARACTERS_OF_ROWS = 4800  # of the answers of all rows to one prompt: keeps a report small
_SHORT, _FEW = 100, 4  # characters of a text, and rows, with which an example is a line
_SCORE = "rouge_l"


@dataclass(frozen=True)
class Answer:
    """What one row generated.

    Attributes:
        label: label of the row.
        method: its method.
        text: the text, cut; it may be empty.
        score: its ROUGE-L, from 0 to 1; None if it was not saved.
    """

    label: str
    method: str
    text: str
    score: float | None


@dataclass(frozen=True)
class AnsweredPrompt:
    """A test prompt with the answer of each row.

    Attributes:
        where: location of the row; empty if it is not known.
        prompt: the prompt, cut.
        expected: what was expected, cut.
        answers: in the order of the table's rows.
        differs: whether it is shown because the answers differ much; otherwise it was drawn at random.
    """

    where: str
    prompt: str
    expected: str
    answers: tuple[Answer, ...]
    differs: bool


@dataclass(frozen=True)
class Answers:
    """The test prompts that are shown.

    Attributes:
        seed: of the runs.
        compared: number of prompts that all of these rows answered.
        prompts: those on which the answers differ most first.
    """

    seed: int
    compared: int
    prompts: tuple[AnsweredPrompt, ...]


_Row = Mapping[str, str | float | None]  # column -> value of an example


def answers_side_by_side(table: Table) -> Answers | None:
    """Return answers of a table's rows to the same prompts, all of one seed; None if none were saved.

    Shown are the prompts whose answers have the most different ROUGE-L, and some that a hash of the example's id
    draws, which are the same in every report.
    """
    runs = runs_of_one_seed([row for row in table.rows if row.runs[0].record.predicts == "tokens"])
    if runs is None:
        return None
    seed, run_of_row = runs
    examples = {label: rows for label, run in run_of_row.items() if (rows := _examples(run))}
    if not examples:
        return None
    shared_ids = sorted(set.intersection(*map(set, examples.values())))
    spreads = {example_id: _spread([rows[example_id] for rows in examples.values()]) for example_id in shared_ids}
    differing = sorted((name for name in shared_ids if spreads[name] > (0, 0)), key=lambda name: spreads[name])
    shown = differing[::-1][:_DIFFERING]
    others = sorted(set(shared_ids) - {*shown}, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    prompts = [
        _answered_prompt({label: rows[name] for label, rows in examples.items()}, run_of_row, differs=name in shown)
        for name in [*shown, *others[: _SHOWN - len(shown)]]
    ]
    return Answers(seed, len(shared_ids), tuple(prompts)) if prompts else None


def short_answers(table: Table) -> list[str]:
    """Return a line for each of the first prompts, for a reader of plain text; none if they are long, or rows many."""
    answers = answers_side_by_side(table)
    lines = []
    for prompt in answers.prompts[:_DIFFERING] if answers else ():
        texts = [prompt.prompt, prompt.expected, *(answer.text for answer in prompt.answers)]
        if len(prompt.answers) > _FEW or any(len(text) > _SHORT for text in texts):
            return []
        generated = "; ".join(f"{answer.label}: {answer.text or '(nothing)'}" for answer in prompt.answers)
        where = f"{prompt.where}: " if prompt.where else ""
        lines.append(printable(f"{where}{prompt.prompt} → {prompt.expected} (expected); {generated}"))
    return lines


def _examples(run: ComparedRun) -> dict[str, _Row]:
    """Return example id -> prompt, what was expected, and what the run generated, for the prompts it answered."""
    table = read_columns(run, ["example_id", TEXT, "expected", "generated"], [WHERE, _SCORE])
    if table is None:
        return {}
    answered = table.filter(table["generated"].is_valid())  # a few, as a rule, of many test rows
    return {str(row["example_id"]): row for row in answered.to_pylist()}


def _spread(rows: Sequence[_Row]) -> tuple[float, int]:
    """Return how much the answers to a prompt differ: in their scores, and in number, beyond one."""
    scores = [score for row in rows if isinstance(score := row.get(_SCORE), float)]
    return max(scores, default=0.0) - min(scores, default=0.0), len({row["generated"] for row in rows}) - 1


def _answered_prompt(
    row_of_label: Mapping[str, _Row], run_of_row: Mapping[str, ComparedRun], *, differs: bool
) -> AnsweredPrompt:
    limit = min(_MAX_CHARACTERS, _MAX_CHARACTERS_OF_ROWS // len(row_of_label))
    first = next(iter(row_of_label.values()))
    answers = []
    for label, row in row_of_label.items():
        score = row.get(_SCORE)
        text = _shown(row["generated"], limit)
        answers.append(
            Answer(label, run_of_row[label].record.method, text, score if isinstance(score, float) else None)
        )
    where, prompt, expected = (_shown(first.get(name), _MAX_CHARACTERS) for name in (WHERE, TEXT, "expected"))
    return AnsweredPrompt(where, prompt, expected, tuple(answers), differs)


def _shown(text: str | float | None, max_characters: int) -> str:
    return escape_controls(shorten_text("" if text is None else str(text), max_characters))
