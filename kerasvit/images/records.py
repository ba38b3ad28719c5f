"""What a model's record says of its pictures."""

from collections.abc import Mapping
from typing import Any

from kerasvit.errors import UsageError
from kerasvit.images.preprocessing import Preprocessing


def recorded_preprocessing(record: Mapping[str, Any], name: str) -> Preprocessing:
    """Return how pictures are prepared for a model.

    Args:
        record: the model's, whose "preprocessing" is one, or what `Preprocessing.to_dict` returned.
        name: what a message calls the model.

    Raises:
        UsageError: if the record has no preprocessing, or not a whole one.
    """
    if not record.get("preprocessing"):
        raise UsageError(
            f"The record of {name!r} has no preprocessing; pictures must be prepared as in "
            "training. Received: a model without it. Set model.record['preprocessing'] (see "
            "kerasvit.images.Preprocessing), and save a file again"
        )
    preprocessing = record["preprocessing"]
    if isinstance(preprocessing, Preprocessing):
        return preprocessing
    return Preprocessing.from_dict(preprocessing)
