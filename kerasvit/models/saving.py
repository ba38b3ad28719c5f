"""Configs and files of a model: what Keras does, made safe for models that share layers."""

from collections.abc import Mapping
from typing import Any, Self

import keras

from kerasvit.errors import UsageError
from kerasvit.files import atomic_path
from kerasvit.layers.base import kept_arguments, nested_layers
from kerasvit.models.arguments import DeclaredArguments
from kerasvit.models.freezing import TRAINABLE_LAYERS, set_trainable_layers, trainable_layers
from kerasvit.models.weight_files import check_weights_file
from kerasvit.models.writing import write_keras
from kerasvit.private_names import set_policy


class SavedModel(DeclaredArguments, keras.Model):
    """A Keras model whose config holds its arguments, and whose files are whole or not there."""

    image_shape: Any

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, serialisable as JSON."""
        arguments = kept_arguments(self, self.arguments)
        differing = trainable_layers(self)
        return {
            **{name: plain(value) for name, value in arguments.items()},
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self._policy_of_layers()),
            **({TRAINABLE_LAYERS: differing} if differing else {}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None) -> Self:
        """Make a model from its config, with the layers frozen that were."""
        arguments = dict(config)
        flags = arguments.pop(TRAINABLE_LAYERS, {})
        model = cls(**arguments)
        # Keras builds a model that is loaded only if it says that it is not built.
        model.build((None, *model.image_shape))
        if flags or not model.trainable:
            set_trainable_layers(model, flags)
        return model

    def _resolve_policies(self) -> None:
        """Give each layer its own policy of a map: quantized, it cannot be saved with a map."""
        for layer in nested_layers(self):
            policy = layer.dtype_policy
            if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
                set_policy(layer, policy[layer.path])

    def _policy_of_layers(self) -> keras.dtype_policies.DTypePolicy:
        """Return the dtype policy, with the exceptions that `quantize` made among the layers."""
        policy = self.dtype_policy
        quantized = {
            layer.path: layer.dtype_policy
            for layer in nested_layers(self)
            if layer.quantization_mode
        }
        return keras.dtype_policies.DTypePolicyMap(policy.name, quantized) if quantized else policy

    def save(self, filepath, overwrite: bool = True, **kwargs) -> None:
        """Save the model; an interrupted save leaves the old file as it was.

        Args:
            filepath: path that ends in `.keras`.
            overwrite: bool. Whether an existing file is replaced.
            **kwargs: further arguments of `keras.Model.save`.

        Raises:
            OutputError: if the file cannot be written, or exists and `overwrite` is False.
        """
        with atomic_path(filepath, overwrite=overwrite) as temporary:
            write_keras(self, temporary, **kwargs)

    def export(self, filepath, *arguments, **kwargs) -> None:
        """Raise `UsageError`: the files that Keras exports have no names for scores.

        `kerasvit.export` writes the same formats and more, with every output by its name, and
        compares each with the model.
        """
        raise UsageError(
            "Keras' own export cannot write a model with nested outputs. "
            f"Received: export({str(filepath)!r}). Call kerasvit.export(model, path, format=...)"
        )

    def load_weights(self, filepath, skip_mismatch: bool = False, **kwargs) -> None:
        """Load the weights of a file, as Keras does, but only of one that has exactly these.

        Args:
            filepath: path of a `.weights.h5` or `.keras` file.
            skip_mismatch: bool. Whether weights that do not fit are passed over.
            **kwargs: further arguments of `keras.Model.load_weights`.

        Raises:
            InputError: if the file holds another model's weights; this one's are then untouched.
        """
        if not skip_mismatch:
            check_weights_file(self, filepath)
        super().load_weights(filepath, skip_mismatch=skip_mismatch, **kwargs)


def plain(value: Any) -> Any:
    """Copy a JSON-able value into plain dicts and lists.

    Keras wraps those that are attributes of a layer, and a deep copy of the wrapper would copy
    the layer's weights with it.
    """
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    # A `Preprocessing` that somebody put into a record.
    return plain(value.to_dict()) if hasattr(value, "to_dict") else value
