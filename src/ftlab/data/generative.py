"""Data for text generation: the model reads a prompt, and learns to write the response and to stop."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from ftlab.config.groups import DatasetConfig
from ftlab.config.task import Task
from ftlab.core.errors import DataError
from ftlab.data.base import DataModule
from ftlab.data.encoding.encoded_split import EncodedRows
from ftlab.data.encoding.tokens import plain_ids
from ftlab.data.prompting.agreement import require_agreement
from ftlab.data.prompting.chat_template import tells_reasoning
from ftlab.data.prompting.jinja_template import check_template, is_chat, template_renderer, whole_text
from ftlab.data.prompting.render import (
    PromptAndResponse,
    TokenizedTemplate,
    TruncatedExample,
    TruncationSide,
    decoder_example,
    encoder_decoder_example,
)
from ftlab.data.prompting.slots import SYSTEM, TurnShape, slot_text, turn_shape
from ftlab.data.rows.excerpt import Excerpt, make_excerpt
from ftlab.data.rows.row import Columns, Row, canonical_json
from ftlab.data.rows.turns import Conversation, Turn

_TOO_LONG = "response truncated"
_CHUNK = 1000  # rows rendered at once
_DROPPED_REASONING = (
    "The chat template leaves out the reasoning of earlier turns, so of those only the answers are learned: write each "
    "answer with the turns before it as a row of its own to learn all reasoning."
)


@dataclass(frozen=True, slots=True)
class TemplateKey:
    """What the template of a row depends on.

    Attributes:
        has_system: whether the row has its own system prompt.
        turns: the shape of each turn.
        settings: JSON of the variables of the chat template that the row sets.
    """

    has_system: bool = False
    turns: tuple[TurnShape, ...] = (TurnShape(),)
    settings: str = ""


@dataclass(frozen=True)
class PromptWithReference:
    """A tokenized prompt and the reference response.

    Attributes:
        input_ids: token ids of the prompt, few-shot examples included.
        opening_ids: tokens that some chat templates put in front of a response.
        stop_id: token that ends the response.
        prompt: the user's last prompt, without a prefix.
        references: the responses in the data, of which any is right; the first is learned, with its reasoning if it
            has one.
        input: the text that the prompt refers to, if that is a column of its own.
    """

    input_ids: list[int]
    opening_ids: list[int]
    stop_id: int
    prompt: str
    references: tuple[str, ...]
    input: str = ""


class GenerativeData(DataModule, ABC):
    """Loss on the responses and the end of each. Rows without room for any token of a response are dropped."""

    prefix = ""  # text in front of every prompt that is not the row's own

    def __init__(
        self,
        *args: Any,
        template: str | None = None,
        system: str | None = None,
        loss_on: Literal["response", "all"] = "response",
        truncation: TruncationSide = "right",
        generates: bool = False,
        **settings: Any,
    ) -> None:
        """Take the rows.

        Args:
            args: see `DataModule`.
            template: chat, alpaca, alpaca_zh, plain or Jinja; None for chat if the tokenizer has a chat template, else
                plain.
            system: system prompt of conversations without their own.
            loss_on: whether only responses have a loss, or prompts too.
            truncation: side on which examples are truncated.
            generates: whether responses to test prompts are generated and measured.
            settings: see `DataModule`.
        """
        check_template(template)
        self.generates = generates
        super().__init__(*args, **settings)
        self.template = template
        self.system = system
        self.loss_on = loss_on
        self.truncation: TruncationSide = truncation

    @classmethod
    def init_args(cls, config: DatasetConfig, columns: Columns) -> dict[str, Any]:
        """Return the settings of prompts and responses; see `__init__`."""
        return {
            "template": config.template,
            "system": config.system,
            "loss_on": config.loss_on,
            "truncation": "left" if config.truncation == "left" else "right",  # `build_dataset` refuses others
            "generates": config.generate.rows > 0,
        }

    @abstractmethod
    def conversation(self, values: Mapping[str, Any]) -> Conversation:
        """Return a row, given as role -> value, as a conversation; its responses may be empty."""

    @property
    def task(self) -> Task:
        """Language modelling of the responses."""
        task = Task.of(self.kind)
        return task.with_generation_columns() if self.generates else task

    def encode(self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> EncodedRows:
        """Render every row and truncate it to max_length; labels are -100 up to the first token of a response.

        Each row is compared with what its template makes of the whole conversation.

        For an encoder-decoder each turn is an example of its own, since its decoder writes one response.
        """
        examples, contents, truncated, dropped = [], [], 0, 0
        for row, _, _, row_examples in self._render(tokenizer, rows):
            kept = [example for example in row_examples if example is not None]
            truncated += any(example is None or example.truncated for example in row_examples)
            dropped += not kept
            examples += [example.example for example in kept]
            contents += [canonical_json(row.values)] * len(kept)
        return EncodedRows(examples, contents, truncated, {_TOO_LONG: dropped})

    def prompts_with_references(
        self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]
    ) -> Iterator[PromptWithReference | None]:
        """Yield the last prompt of each example of these rows; None if its response was truncated away."""
        for _, conversation, template, row_examples in self._render(tokenizer, rows):
            for example in row_examples:
                if example is None:
                    continue
                turn = conversation.turns[example.turn]
                prompt = PromptWithReference(
                    input_ids=example.example.input_ids[: example.prompt_length].tolist(),
                    opening_ids=template.openings[example.turn],
                    stop_id=template.stop_id,
                    prompt=turn.prompt.removeprefix(self.prefix).strip(),
                    references=(template.reference(conversation, example.turn), *turn.other_responses),
                    input=turn.input.strip(),
                )
                yield prompt if example.prompt_length else None

    def excerpts_of_row(self, row: Row) -> list[Excerpt]:
        """See `ColumnRoles`; the last prompt and what is expected, of an encoder-decoder one of each turn."""
        conversation = self.conversation(row.values)
        learned = [turn for turn in conversation.turns if turn.learned]
        shown = learned if self.task_for_model.decoder_writes else learned[-1:]
        return [
            make_excerpt([turn.prompt.removeprefix(self.prefix), turn.input], row.where, turn.references)
            for turn in shown
        ]

    def select_demonstrations(self, tokenizer: PreTrainedTokenizerBase, candidates: Iterator[Row]) -> list[Row]:
        """Return the first rows that fit untruncated: a truncated response would teach to stop early."""
        key = TemplateKey()
        empty, limit = self._template(tokenizer, key, []).num_tokens, self.task_for_model.shot_tokens
        fitting = (
            row
            for row in candidates
            if self._template(tokenizer, key, self.conversation(row.values).turns).num_tokens - empty <= limit
        )
        return list(islice(fitting, self.task_for_model.shots))

    def _render(
        self, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]
    ) -> Iterator[tuple[Row, Conversation, TokenizedTemplate, list[TruncatedExample | None]]]:
        """Yield each row with its conversation, template and examples; an example without a loss is None."""
        is_encoder_decoder = self.task_for_model.decoder_writes
        if is_encoder_decoder and self.loss_on == "all":
            raise DataError(
                "dataset.loss_on=all is for decoders, and an encoder-decoder has no loss on its prompt: leave it unset."
            )
        demonstrations = [turn for values in self.demonstrations for turn in self.conversation(values).turns]
        reasons = is_chat(self.template, tokenizer) and tells_reasoning(tokenizer)
        templates: dict[TemplateKey, tuple[TokenizedTemplate, int]] = {}  # with the maximum length of an example
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            conversations = [self.conversation(row.values) for row in chunk]
            keys = [self._key(conversation, reasons=reasons) for conversation in conversations]
            for key, row in zip(keys, chunk, strict=True):
                if key not in templates:
                    try:
                        template = self._template(tokenizer, key, demonstrations)
                    except DataError as error:
                        is_of_row = key.has_system or key.settings or any(turn.has_reasoning for turn in key.turns)
                        raise DataError(f"{row.where}: {error}" if is_of_row else str(error)) from None
                    zero_shot = self._template(tokenizer, key, []) if demonstrations else template
                    # few-shot examples take no room from the prompt
                    max_length = self.max_length + template.num_tokens - zero_shot.num_tokens
                    templates[key] = template, max_length
            rendered = _fill_templates(tokenizer, conversations, [templates[key][0] for key in keys])
            for row, conversation, key, turns in zip(chunk, conversations, keys, rendered, strict=True):
                template, max_length = templates[key]
                self._require_agreement(tokenizer, row, conversation, template, demonstrations)
                learned = [turn.learned for turn in conversation.turns]
                examples = self._examples(turns, template, max_length, learned, is_encoder_decoder=is_encoder_decoder)
                yield row, conversation, template, list(examples)

    def _require_agreement(
        self,
        tokenizer: PreTrainedTokenizerBase,
        row: Row,
        conversation: Conversation,
        template: TokenizedTemplate,
        demonstrations: Sequence[Turn],
    ) -> None:
        """Check that a row is learned as its template writes it; a prompt without a response has nothing to learn."""
        if not conversation.turns[-1].response.strip():
            return
        system, turns = slot_text(SYSTEM, conversation.turns[0], conversation), [*demonstrations, *conversation.turns]
        written = whole_text(self.template, tokenizer, system or self.system, turns, conversation.template_settings)
        if written is not None:
            require_agreement(written, template.text(conversation), row.where)
        if template.drops_reasoning and _DROPPED_REASONING not in self.warnings:
            self.warnings.append(_DROPPED_REASONING)

    def _examples(
        self,
        turns: list[PromptAndResponse],
        template: TokenizedTemplate,
        max_length: int,
        learned: Sequence[bool],
        *,
        is_encoder_decoder: bool,
    ) -> Iterator[TruncatedExample | None]:
        if not is_encoder_decoder:
            loss_on_all = self.loss_on == "all"
            yield decoder_example(
                turns, template.openings, max_length, side=self.truncation, loss_on_all=loss_on_all, learned=learned
            )
            return
        context: list[int] = []
        for number, (prompt, response) in enumerate(turns):
            context += prompt
            if learned[number]:
                example = encoder_decoder_example(context, response, max_length, self.max_length, side=self.truncation)
                yield replace(example, turn=number)
            context += response

    def _template(
        self, tokenizer: PreTrainedTokenizerBase, key: TemplateKey, demonstrations: Sequence[Turn]
    ) -> TokenizedTemplate:
        """Return the template of rows with this key, with the few-shot examples before the row's own turns."""
        render = template_renderer(self.template, tokenizer, key.settings)
        reasons = is_chat(self.template, tokenizer) and tells_reasoning(tokenizer)
        shapes = [*(turn_shape(turn, reasons=reasons) for turn in demonstrations), *key.turns]
        template = render(tokenizer, SYSTEM if key.has_system else self.system, shapes)
        return TokenizedTemplate(tokenizer, template, demonstrations)

    @staticmethod
    def _key(conversation: Conversation, *, reasons: bool) -> TemplateKey:
        shapes = tuple(turn_shape(turn, reasons=reasons) for turn in conversation.turns)
        return TemplateKey(bool(conversation.system), shapes, conversation.template_settings)


def _fill_templates(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation], templates: Sequence[TokenizedTemplate]
) -> Iterator[list[PromptAndResponse]]:
    """Yield the turns of each conversation as token ids; the texts of all conversations are tokenized at once."""
    to_fill = [
        (turn, conversation, [*dict.fromkeys(slots)])
        for conversation, template in zip(conversations, templates, strict=True)
        for turn, slots in zip(conversation.turns, template.slots, strict=True)
    ]
    texts = [slot_text(slot, turn, conversation) for turn, conversation, slots in to_fill for slot in slots]
    ids = iter(plain_ids(tokenizer, texts))
    slot_ids = iter([{slot: next(ids) for slot in slots} for _, _, slots in to_fill])
    for conversation, template in zip(conversations, templates, strict=True):
        yield template.fill([next(slot_ids) for _ in conversation.turns])
