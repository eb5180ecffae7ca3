"""Predictions of a trained model, one type for each form that they have. Imports no torch."""

from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """Prediction for one input.

    Those of a task kind of one's own are a frozen dataclass that derives from this one, or from one below.
    """

    def to_dict(self) -> dict[str, Any]:
        """Return name -> value of each field, in the order of the fields, as values that JSON has.

        A subclass with fields that JSON does not have overrides it.
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class ClassPrediction(Prediction):
    """One class of several.

    Attributes:
        prediction: name of the most probable class.
        probability: its probability.
        scores: class -> probability, for all classes.
    """

    prediction: str
    probability: float
    scores: dict[str, float]


@dataclass(frozen=True)
class LabelsPrediction(Prediction):
    """Any number of labels.

    Attributes:
        prediction: names of the labels whose probability is above one half.
        scores: label -> probability, for all labels.
    """

    prediction: list[str]
    scores: dict[str, float]


@dataclass(frozen=True)
class NumberPrediction(Prediction):
    """A number, or one for each of several targets.

    Attributes:
        prediction: the number, on the target's own scale; for several targets, target -> number.
    """

    prediction: float | dict[str, float]


@dataclass(frozen=True)
class Entity:
    """Part of a text that tags mark as an entity.

    Attributes:
        text: its text.
        type: its type, such as PER.
        start: index of its first character in the text.
        end: index of the character after its last one.
    """

    text: str
    type: str
    start: int
    end: int


@dataclass(frozen=True)
class TagsPrediction(Prediction):
    """A tag for each word of a text.

    Attributes:
        words: the words.
        tags: the tag of each.
        entities: what the tags mark in the text, in its order; None: these tags label single words.
    """

    words: list[str]
    tags: list[str]
    entities: list[Entity] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return `words`, `tags` and, if the tags mark entities, `entities` as dicts."""
        values: dict[str, Any] = {"words": self.words, "tags": self.tags}
        return values if self.entities is None else {**values, "entities": [asdict(entity) for entity in self.entities]}


@dataclass(frozen=True)
class TextPrediction(Prediction):
    """Text that a language model writes.

    Attributes:
        answer: the response to a prompt, or how a text goes on; without the end token.
    """

    answer: str
