"""Models of this package as keras-hub's: a backbone, an image classifier, and their presets.

Importing this module registers both, so that `keras_hub.models.Backbone.from_preset` and
`keras_hub.models.ImageClassifier.from_preset` read what is written here. It needs the extra
`keras-hub`.
"""

import os
import pathlib
from collections.abc import Callable
from typing import Any, Self

import keras
import keras_hub

from kerasvit.errors import UsageError
from kerasvit.layers.base import PACKAGE
from kerasvit.models.base import ScoreModel


@keras.saving.register_keras_serializable(PACKAGE)
class ScoreBackbone(keras_hub.models.Backbone):
    """A model of this package as a backbone of keras-hub: from images to the feature.

    Args:
        model: a kerasvit model, whose weights are shared, or its serialised config.
        **kwargs: of `keras_hub.models.Backbone`.

    Call arguments:
        images: float tensor `(B, height, width, C)`, prepared as the model's record says.

    Returns:
        What a head reads, see `ScoreModel.features`.
    """

    # A function, which Keras does not track: the head is no part of a backbone.
    _whole: Callable[[], ScoreModel]

    def __init__(self, model: Any, **kwargs):
        if isinstance(model, dict):
            model = keras.saving.deserialize_keras_object(model)
        # A model's own policy is in its config.
        kwargs.pop("dtype", None)
        images = keras.Input(model.image_shape, name="images")
        super().__init__(inputs=images, outputs=model.headless()(images)[0], **kwargs)
        self._whole = lambda: model

    @property
    def model(self) -> ScoreModel:
        """The kerasvit model, with its scores, its head and its record; it shares the weights."""
        return self._whole()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, the model as its serialised config."""
        config = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": config}


@keras.saving.register_keras_serializable(PACKAGE)
class ScoreImageClassifier(keras_hub.models.ImageClassifier):
    """A model of this package with its own head as an image classifier of keras-hub.

    Args:
        backbone: a `ScoreBackbone` of a model with a head.
        num_classes: of the head; None for what the model has.
        preprocessor: of `keras_hub.models.Task`.
        activation: of the logits; None for none.
        **kwargs: of `keras_hub.models.Task`.

    Raises:
        UsageError: if the model has no head, or one for another number of classes.
    """

    backbone_cls = ScoreBackbone

    def __init__(
        self,
        backbone: ScoreBackbone,
        num_classes: int | None = None,
        preprocessor: Any = None,
        activation: Any = None,
        **kwargs,
    ):
        model = backbone.model
        if not model.num_classes or num_classes not in (None, model.num_classes):
            raise UsageError(
                "The classifier reads the model's own head. Received: "
                f"num_classes={num_classes}, a model with {model.num_classes or 'no'} classes. "
                "Make a model with such a head, or put a keras.layers.Dense on the backbone"
            )
        logits = model.classifying()(backbone.input)[0]
        self.backbone = backbone
        self.preprocessor = preprocessor
        # Past the parent's constructor, which builds a head of its own.
        super(keras_hub.models.ImageClassifier, self).__init__(
            inputs=backbone.input, outputs=keras.activations.get(activation)(logits), **kwargs
        )
        self.num_classes = model.num_classes
        self.activation = activation

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config = super(keras_hub.models.ImageClassifier, self).get_config()
        return {**config, "num_classes": self.num_classes, "activation": self.activation}

    @classmethod
    def of(cls, model: ScoreModel, **kwargs) -> Self:
        """Return a kerasvit model as a classifier that shares its weights."""
        return cls(ScoreBackbone(model), **kwargs)


def write_preset(model: ScoreModel, folder: str | os.PathLike[str]) -> None:
    """Write a model as a preset of keras-hub: an `ImageClassifier` where it has a head.

    Args:
        model: a kerasvit model.
        folder: made if missing.
    """
    task = ScoreImageClassifier.of(model) if model.num_classes else ScoreBackbone(model)
    task.save_to_preset(os.fspath(folder))


def read_preset(folder: str | os.PathLike[str]) -> ScoreModel:
    """Return the kerasvit model of a preset that `write_preset` wrote.

    Args:
        folder: of the preset.
    """
    if pathlib.Path(folder, "task.json").is_file():
        return ScoreImageClassifier.from_preset(os.fspath(folder)).backbone.model
    return ScoreBackbone.from_preset(os.fspath(folder)).model
