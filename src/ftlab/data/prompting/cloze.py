"""Cloze prompts and verbalizers for classification with a language model (Schick & Schütze, 2021).

As in `templates`, the fixed text and the user's text are tokenized separately, so that `[MASK]` in a text makes no
second gap. Only the first token of each verbalizer word is scored, as in LM-BFF (Gao et al., 2021): one forward pass
classifies.
"""

import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from ftlab.config.task import Cloze, Task
from ftlab.core.errors import DataError, UserError
from ftlab.data.encoding.tokens import special_tokens_around, template_ids
from ftlab.data.encoding.truncation import TruncationPosition, truncate

TEXT, PAIR, GAP = "{text}", "{text_pair}", "{mask}"
_SEPARATOR = "\n\n"  # between few-shot examples

Segments = list[str | list[int]]  # slots and the ids between them


class ClozeText:
    """A cloze template for one tokenizer and one architecture.

    A decoder reads the text before the gap and predicts the next token, an encoder has a mask token in the gap, an
    encoder-decoder reads the text before the gap and predicts the decoder's first token. A blank before the gap belongs
    to the word, as in the vocabularies of tokenizers.

    Attributes:
        roles: columns that the template contains, in the order in which `encode` takes their texts.
    """

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, task: Task, *, paired: bool, truncation: TruncationPosition = "right"
    ) -> None:
        """Tokenize the template and the verbalizer words; `truncation` is the side on which texts are truncated.

        Raises:
            DataError: the template has a slot for a second text, and the data has none.
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
        self._truncation = truncation
        self._auto_class = task.head.auto_class
        self._shot_tokens = task.shot_tokens
        before, _, after = template.partition(GAP)
        self._before = self._segments(before.rstrip(" "))
        self._after = self._segments(after)
        self._prefix, self._suffix = special_tokens_around(tokenizer)
        self._word_ids = _word_ids(tokenizer, task.cloze)

    def encode(
        self, texts: Sequence[list[int]], max_length: int, demonstrations: Sequence[int] = ()
    ) -> tuple[list[int], bool]:
        """Return the ids of an example with its gap, and whether a text was truncated to `max_length` tokens.

        Args:
            texts: the ids of each role.
            max_length: maximum number of tokens, without those of `demonstrations`.
            demonstrations: ids that `encode_demonstrations` returned.
        """
        segments = [self._prefix, *self._before]
        if self._auto_class == "AutoModelForMaskedLM":
            segments += [[self._mask_id()], *self._after]
        if self._auto_class != "AutoModelForCausalLM":  # there the text ends at the gap
            segments.append(self._suffix)
        ids, truncated = self._fill(segments, texts, max_length)
        start = len(self._prefix)
        return [*ids[:start], *demonstrations, *ids[start:]], truncated

    def encode_demonstrations(self, texts: Sequence[Sequence[list[int]]], classes: Sequence[int]) -> list[int]:
        """Return the ids of few-shot examples, one after the other.

        Args:
            texts: for each example, the ids of each role.
            classes: for each example, the class id.
        """
        ids: list[int] = []
        for text_ids, label in zip(texts, classes, strict=True):
            example = [*self._before, self._word_ids[label], *self._after, template_ids(self._tokenizer, _SEPARATOR)]
            ids += self._fill(example, text_ids, self._shot_tokens)[0]
        return ids

    def _fill(self, segments: Segments, texts: Sequence[list[int]], max_length: int) -> tuple[list[int], bool]:
        room = max_length - sum(len(segment) for segment in segments if not isinstance(segment, str))
        if room < 1:
            raise DataError(
                f"method.template leaves none of {max_length} tokens for the text: shorten it, or raise the limit "
                "(dataset.max_length and budget.max_length; for few-shot examples, method.shot_tokens)."
            )
        truncated = dict(zip(self.roles, truncate(texts, room, self._truncation), strict=True))
        ids = [token for segment in segments for token in (truncated[segment] if isinstance(segment, str) else segment)]
        return ids, sum(map(len, texts)) > room

    def _segments(self, text: str) -> Segments:
        parts = re.split(f"{re.escape(TEXT)}|{re.escape(PAIR)}", text)
        slots = [slot.strip("{}") for slot in re.findall(f"{re.escape(TEXT)}|{re.escape(PAIR)}", text)]
        segments: Segments = [template_ids(self._tokenizer, parts[0])]
        for slot, part in zip(slots, parts[1:], strict=True):
            segments += [slot, template_ids(self._tokenizer, part)]
        return segments

    def _mask_id(self) -> int:
        if self._tokenizer.mask_token_id is None:
            raise UserError("the tokenizer of this encoder has no mask token: use a model that was trained with one.")
        return int(self._tokenizer.mask_token_id)


def verbalizer_token_ids(tokenizer: PreTrainedTokenizerBase, task: Task) -> list[int]:
    """Return the token that is scored for each class: the first token of its verbalizer word.

    Raises:
        UserError: two classes have the same token, or a word is unknown to the tokenizer.
    """
    assert task.cloze is not None
    if task.decoder_writes:  # the decoder begins a new text
        word_ids = [template_ids(tokenizer, word) for word in task.cloze.words]
    else:
        word_ids = _word_ids(tokenizer, task.cloze)
    word_of_token: dict[int, str] = {}
    for word, ids in zip(task.cloze.words, word_ids, strict=True):
        if not ids or ids[0] == tokenizer.unk_token_id:
            raise UserError(f"the tokenizer does not know the word {word!r}: name another in method.words.")
        if ids[0] in word_of_token:
            token = tokenizer.convert_ids_to_tokens(ids[0])
            raise UserError(
                f"the words {word_of_token[ids[0]]!r} and {word!r} of two classes begin with the same token {token!r}, "
                "and only the first token is scored: set method.words to words that differ there."
            )
        word_of_token[ids[0]] = word
    return list(word_of_token)


def _word_ids(tokenizer: PreTrainedTokenizerBase, cloze: Cloze) -> list[list[int]]:
    """Return the ids of each verbalizer word as it follows the fixed text and the blank, if any, before the gap.

    Some tokenizers mark the first word of a text, so a word alone may have different ids.
    """
    before = cloze.template.partition(GAP)[0]
    fixed = before.rstrip(" ").rpartition("}")[2]
    blank = before[len(before.rstrip(" ")) :]
    start = template_ids(tokenizer, fixed)
    word_ids = []
    for word in cloze.words:
        whole = template_ids(tokenizer, f"{fixed}{blank}{word}")
        continues = whole[: len(start)] == start
        word_ids.append(whole[len(start) :] if continues else template_ids(tokenizer, f"{blank}{word}"))
    return word_ids
