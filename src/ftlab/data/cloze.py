"""Classification as a solved example with a gap, and the tokens that may stand in it (Schick & Schütze, 2021).

As in `templates`, the fixed text and the user's text are tokenized apart, so that `[MASK]` in a text makes no second
gap. Of the words, the first token is what is scored, as in LM-BFF (Gao et al., 2021): one forward pass answers.
"""

import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from ftlab.data.tokens import fixed_ids, frame
from ftlab.errors import DataError, UserError
from ftlab.tasks.spec import Cloze, Task

TEXT, PAIR, GAP = "{text}", "{text_pair}", "{mask}"
_BETWEEN = "\n\n"  # demonstrations

Pieces = list[str | list[int]]  # slots and the ids between them


class ClozeText:
    """A cloze for one tokenizer, as the posed task's kind of model reads it.

    A decoder reads up to the gap and writes next, an encoder has a mask token in it, an encoder-decoder reads up to the
    gap and writes first. A blank before the gap belongs to the word, as tokenizers have it.

    Attributes:
        roles: columns that stand in the template, in the order in which `question` takes their texts.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, task: Task, *, paired: bool) -> None:
        """Tokenize template and words.

        Raises:
            DataError: the template has a place for a second text, and the data has none.
        """
        assert task.cloze is not None
        template = task.cloze.template
        if paired and PAIR not in template:
            template = template.replace(TEXT, f"{TEXT}\n{PAIR}")
        if PAIR in template and not paired:
            raise DataError(
                f"method.template has {PAIR} and the data has no second text: set dataset.columns.text_pair."
            )
        self.roles = ("text", "text_pair") if paired else ("text",)
        self._tokenizer = tokenizer
        self._kind = task.auto_class
        self._shot_tokens = task.shot_tokens
        before, _, after = template.partition(GAP)
        self._before = self._pieces(before.rstrip(" "))
        self._after = self._pieces(after)
        self._opening, self._closing = frame(tokenizer)
        self._answers = _answers(tokenizer, task.cloze)

    def question(self, texts: Sequence[list[int]], longest: int, shown: Sequence[int] = ()) -> tuple[list[int], bool]:
        """Return the ids of an example with its gap, and whether a text was cut to stay within `longest` tokens.

        Args:
            texts: the ids of each role.
            longest: tokens in all, without those of `shown`.
            shown: what `demonstrations` returned.
        """
        pieces = [self._opening, *self._before]
        if self._kind == "AutoModelForMaskedLM":
            pieces += [[self._mask_id()], *self._after]
        if self._kind != "AutoModelForCausalLM":  # there the gap is the end
            pieces.append(self._closing)
        ids, cut = self._filled(pieces, texts, longest)
        start = len(self._opening)
        return [*ids[:start], *shown, *ids[start:]], cut

    def demonstrations(self, texts: Sequence[Sequence[list[int]]], classes: Sequence[int]) -> list[int]:
        """Return the ids of solved examples, one after the other.

        Args:
            texts: for each of them, the ids of each role.
            classes: for each of them, the class id.
        """
        ids: list[int] = []
        for given, label in zip(texts, classes, strict=True):
            solved = [*self._before, self._answers[label], *self._after, fixed_ids(self._tokenizer, _BETWEEN)]
            ids += self._filled(solved, given, self._shot_tokens)[0]
        return ids

    def _filled(self, pieces: Pieces, texts: Sequence[list[int]], longest: int) -> tuple[list[int], bool]:
        room = longest - sum(len(piece) for piece in pieces if not isinstance(piece, str))
        if room < 1:
            raise DataError(
                f"method.template leaves no token of {longest} for the text: shorten it, or raise the limit "
                "(dataset.max_length and budget.max_length; of demonstrations, method.shot_tokens)."
            )
        cut = dict(zip(self.roles, _longest_first(texts, room), strict=True))
        ids = [token for piece in pieces for token in (cut[piece] if isinstance(piece, str) else piece)]
        return ids, sum(map(len, texts)) > room

    def _pieces(self, text: str) -> Pieces:
        parts = re.split(f"{re.escape(TEXT)}|{re.escape(PAIR)}", text)
        slots = [slot.strip("{}") for slot in re.findall(f"{re.escape(TEXT)}|{re.escape(PAIR)}", text)]
        pieces: Pieces = [fixed_ids(self._tokenizer, parts[0])]
        for slot, part in zip(slots, parts[1:], strict=True):
            pieces += [slot, fixed_ids(self._tokenizer, part)]
        return pieces

    def _mask_id(self) -> int:
        if self._tokenizer.mask_token_id is None:
            raise UserError("the tokenizer of this encoder has no mask token: use a model that was trained with one.")
        return int(self._tokenizer.mask_token_id)


def word_tokens(tokenizer: PreTrainedTokenizerBase, task: Task) -> list[int]:
    """Return the token that stands for each class of the posed task: the first one of its word.

    Raises:
        UserError: two classes have the same one, or the tokenizer does not know a word.
    """
    assert task.cloze is not None
    if task.auto_class == "AutoModelForSeq2SeqLM":  # its answer is a text of its own
        answers = [fixed_ids(tokenizer, word) for word in task.cloze.words]
    else:
        answers = _answers(tokenizer, task.cloze)
    first: dict[int, str] = {}
    for word, ids in zip(task.cloze.words, answers, strict=True):
        if not ids or ids[0] == tokenizer.unk_token_id:
            raise UserError(f"the tokenizer does not know the word {word!r}: name another in method.words.")
        if ids[0] in first:
            token = tokenizer.convert_ids_to_tokens(ids[0])
            raise UserError(
                f"the words {first[ids[0]]!r} and {word!r} of two classes begin with the same token {token!r}, and "
                "the first token is what is scored: set method.words to words that differ there."
            )
        first[ids[0]] = word
    return list(first)


def _answers(tokenizer: PreTrainedTokenizerBase, cloze: Cloze) -> list[list[int]]:
    """Return the ids of each word as it goes on behind the fixed text and the blank before the gap, if any.

    Some tokenizers mark the first word of all they read, so a word alone may be other ids.
    """
    before = cloze.template.partition(GAP)[0]
    fixed = before.rstrip(" ").rpartition("}")[2]
    blank = before[len(before.rstrip(" ")) :]
    start = fixed_ids(tokenizer, fixed)
    answers = []
    for word in cloze.words:
        whole = fixed_ids(tokenizer, f"{fixed}{blank}{word}")
        goes_on = whole[: len(start)] == start
        answers.append(whole[len(start) :] if goes_on else fixed_ids(tokenizer, f"{blank}{word}"))
    return answers


def _longest_first(texts: Sequence[list[int]], room: int) -> list[list[int]]:
    """Cut one text, or two of them the longer first, to `room` tokens in all."""
    if len(texts) == 1:
        return [texts[0][:room]]
    one, other = texts
    kept = min(len(other), max(room - len(one), room // 2))
    return [one[: room - kept], other[:kept]]
