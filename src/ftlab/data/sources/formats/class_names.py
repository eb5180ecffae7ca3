"""Class names for class ids, by the features of `datasets`, which it writes into Parquet and Arrow files."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ftlab.data.rows.row import BadRow, Row

Decoder = Callable[[Any], Any]
_LISTS = ("Sequence", "List", "LargeList")
_METADATA_KEY = b"huggingface"


class UnknownClassId(Exception):
    """Raised for an id that no class has; the message is a clause."""


def class_decoders(features: Mapping[str, Any]) -> dict[str, Decoder]:
    """Return column -> function that puts names for ids, of the columns with a ClassLabel, in lists and objects too.

    Args:
        features: as `datasets.Features.to_dict` returns them, or as the key `features` of dataset_info.json has them.
    """
    decoders = {column: _decoder(feature) for column, feature in features.items()}
    return {column: decoder for column, decoder in decoders.items() if decoder is not None}


def features_in_schema(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    """Return the features that `datasets` wrote into the metadata of an Arrow schema; none if it wrote none."""
    try:
        features = json.loads((metadata or {})[_METADATA_KEY])["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    return features if isinstance(features, dict) else {}


def decoded_row(values: Mapping[str, Any], where: str, decoders: Mapping[str, Decoder]) -> Row | BadRow:
    """Return a row with class names; -1, the mark of `datasets` for no label, becomes None."""
    if not decoders:
        return Row(values, where)
    names = dict(values)
    for column in decoders.keys() & values.keys():
        try:
            names[column] = decoders[column](values[column])
        except UnknownClassId as error:
            return BadRow(where, "unknown class id", f"column {column!r} {error}")
    unlabelled = [column for column in decoders if names.get(column) is None and values.get(column) == -1]
    return Row(names, where, tuple(unlabelled))


def _decoder(feature: Any) -> Decoder | None:
    """Return the decoder of one feature; None if it has no class names."""
    if isinstance(feature, list) and len(feature) == 1:  # how older versions write a list
        return _list_decoder(_decoder(feature[0]))
    if not isinstance(feature, Mapping):
        return None
    kind = feature.get("_type")
    if kind == "ClassLabel":
        names = feature.get("names")
        return _class_decoder(names) if isinstance(names, list) else None
    if kind in _LISTS:
        return _list_decoder(_decoder(feature.get("feature")))
    if isinstance(kind, str):
        return None
    return _object_decoder(class_decoders(feature))


def _class_decoder(names: Sequence[str]) -> Decoder:
    def decode(value: Any) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            return value  # None, or a name already
        if not -1 <= value < len(names):
            raise UnknownClassId(f"holds the class id {value} of {len(names)} classes: correct it in the file")
        return names[value] if value >= 0 else None

    return decode


def _list_decoder(item: Decoder | None) -> Decoder | None:
    if item is None:
        return None

    def decode(value: Any) -> Any:
        if isinstance(value, Mapping):  # a list of objects that is stored as an object of lists
            return {key: [item({key: part})[key] for part in parts] for key, parts in value.items()}
        return [item(part) for part in value] if isinstance(value, list) else value

    return decode


def _object_decoder(fields: Mapping[str, Decoder]) -> Decoder | None:
    if not fields:
        return None

    def decode(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {key: fields[key](part) if key in fields else part for key, part in value.items()}

    return decode
