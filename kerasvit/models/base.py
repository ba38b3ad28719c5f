"""What ViT and CaiT share: the score contract, views, saving."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self

import keras

from kerasvit.files import atomic_path
from kerasvit.layers.base import require, require_at_least
from kerasvit.layers.primitives.direct_calls import direct_calls
from kerasvit.layout import TokenLayout
from kerasvit.models import functional_views
from kerasvit.models.family import FamilyFacts
from kerasvit.models.steps import LogitSteps
from kerasvit.models.taps import NO_TAPS, Taps
from kerasvit.models.weight_files import check_weights_file

ATTENTION_MODES = ("full", "cls", "none")


class ScoreModel(LogitSteps, FamilyFacts, keras.Model):
    """A model that returns `(logits, sa_scores, ca_scores)` and trains on the logits.

    Subclasses name their constructor's arguments in `arguments`, keep each as an attribute, and
    make their layers in `_make_layers`. A view made by `with_attention` shares those layers.
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "image_shape",
        "patch_size",
        "num_classes",
        "hidden_dim",
        "num_layers",
        "num_heads",
        "mlp_dim",
        "attention",
        "attention_blocks",
        "record",
    )

    positive_arguments: ClassVar[tuple[str, ...]] = (
        "hidden_dim",
        "num_layers",
        "num_heads",
        "mlp_dim",
    )

    def _start(self, arguments: dict[str, Any], shared_layers: dict | None, kwargs: dict) -> None:
        """Keep the arguments as attributes, then make the layers or take those of another model."""
        super().__init__(**kwargs)
        for name in self.arguments:
            setattr(self, name, arguments[name])
        self.image_shape = _image_shape(arguments["image_shape"])
        self.patch_size = _pair(arguments["patch_size"])
        self.record = _plain(arguments["record"] or {})
        require_at_least(1, **{name: getattr(self, name) for name in self.positive_arguments})
        require_at_least(0, num_classes=self.num_classes)
        self._check_attention()
        layers = shared_layers or self._make_layers()
        self._layer_names = tuple(layers)
        for name, layer in layers.items():
            setattr(self, name, layer)
        if shared_layers is None:
            self.build((None, *self.image_shape))
            self._resolve_policies()
        self.built = True

    def _check_attention(self):
        require(
            self.attention in ATTENTION_MODES,
            f"attention must be one of {ATTENTION_MODES}. Received: attention={self.attention!r}",
        )
        if self.attention_blocks is not None:
            self.attention_blocks = self._block_indices(self.attention_blocks)

    def _block_indices(self, blocks: Iterable[int]) -> list[int]:
        depth = self.num_layers
        try:
            numbers = [operator.index(block) for block in blocks]
        except TypeError:
            numbers = [depth]
        require(
            all(-depth <= number < depth for number in numbers),
            f"attention_blocks must be a list of block numbers from {-depth} to {depth - 1}. "
            f"Received: {blocks!r}",
        )
        return sorted({number % depth for number in numbers})

    def _wants_scores(self, block: int) -> bool:
        return self.attention_blocks is None or block in self.attention_blocks

    def with_attention(self, mode: str, blocks: Iterable[int] | None = None, **overrides) -> Self:
        """Return a model that shares these weights and returns other scores.

        Args:
            mode: "full" for all scores, "cls" for the query rows of the class token (and of the
                distillation token), "none" for none. Logits are the same in every mode.
            blocks: numbers of the self-attention blocks whose scores are returned, negative ones
                counted from the last; None for all.
            **overrides: other arguments that change what is returned and not the weights:
                `scores_before_mixing` (CaiT), `distillation_output` (distilled ViT).

        Returns:
            A model of the same class. Training either one changes both.

        Raises:
            ValueError: if the mode, a block or an override is unknown.
        """
        unknown = sorted(set(overrides) - set(self.view_arguments))
        require(
            not unknown,
            f"A view can change {self.view_arguments} alone. Received: {', '.join(unknown)}",
        )
        return self._view(attention=mode, attention_blocks=blocks, **overrides)

    scores_in_steps = False

    view_arguments: ClassVar[tuple[str, ...]] = ()

    def headless(self) -> Self:
        """Return a view without a head: its first output is the feature that a head reads.

        It shares the model's weights and returns no scores. The feature is `(B, F)`; of a distilled
        model it is the class token's and the distillation token's, side by side, `(B, 2, D)`.
        """
        overrides = {"distillation_output": "both"} if self.is_distilled else {}
        return self._view(num_classes=0, attention="none", **overrides)

    def classifier(self, image_shape: tuple[int, ...] | None = None) -> keras.Model:
        """Return a plain Keras model, Functional, from images to logits; it shares the weights.

        It is for code that expects one tensor: any loss, metric, `predict`, or a larger model. No
        scores are made. A distilled model's logits are the mean of its two heads'.

        Args:
            image_shape: `(height, width)` or `(height, width, channels)` of the images; the
                model's own `image_shape` if None. A Functional model takes one size.

        Returns:
            A `keras.Model` of images `(B, height, width, channels)` to logits `(B, num_classes)`,
            or to the feature `(B, D)` where there is no head.
        """
        return functional_views.classifier(self, image_shape)

    def functional(
        self,
        attention: str = "full",
        blocks: Iterable[int] | None = None,
        image_shape: tuple[int, ...] | None = None,
        **overrides,
    ) -> keras.Model:
        """Return a plain Keras model, Functional, from images to one flat dict of all outputs.

        Args:
            attention: as `mode` of `with_attention`.
            blocks: as of `with_attention`.
            image_shape: as of `classifier`.
            **overrides: as of `with_attention`.

        Returns:
            A `keras.Model` that shares the weights; its output is a dict of `logits` and every
            score by its name, such as `sa_ffn_block_00_att`.

        Raises:
            ValueError: as of `with_attention`.
        """
        view = self.with_attention(attention, blocks, **overrides)
        return functional_views.with_scores(view, image_shape)

    def _view(self, **changes: Any) -> Self:
        """Return a model of other arguments that shares these layers, heads only where it has."""
        config = {**{name: getattr(self, name) for name in self.arguments}, **changes}
        lacking = () if config["num_classes"] else self.head_names
        layers = {name: getattr(self, name) for name in self._layer_names if name not in lacking}
        return type(self)(**config, name=self.name, dtype=self.dtype_policy, _shared_layers=layers)

    def build(self, input_shape):
        """Create the weights of every layer, unless they exist, as they do in every new model."""
        if self.built:
            return
        for layer in self._flatten_layers(include_self=False, recursive=False):
            layer.build(self._input_shape_of(layer, input_shape))
        self.built = True

    def _input_shape_of(self, layer: keras.layers.Layer, input_shape):
        if layer is self.patch_embedding:
            return input_shape
        return (input_shape[0], None, self.hidden_dim)

    def call(self, images, training=None):
        """Return `(logits, sa_scores, ca_scores)`."""
        return self._run(images, training)

    def _run(self, images, training, taps: Taps = NO_TAPS):
        with direct_calls(self, self.position.embedding, images, training):
            return self._forward(images, training, taps)

    def call_with_taps(
        self, images, taps: Mapping[str, Any], isolate: bool = False, training: bool = False
    ) -> tuple[Any, dict[str, Any]]:
        """Run the model and add tensors at named places inside; the way to gradients in there.

        The gradient with respect to zeros added at a place is the gradient of what is there. It
        works in every attention mode; blocks without a tap on their scores attend as in "none".

        Args:
            images: as for a call.
            taps: tensors of zeros, or None to read only, by place: see
                `kerasvit.models.taps.Taps`. Shapes: `tap_shape`.
            isolate: whether no gradient flows from one block into those before it.
            training: bool, as in Keras.

        Returns:
            logits: as of a call.
            found: the tensors at these places, by name.

        Raises:
            ValueError: if there is no such place.
        """
        taps = Taps(taps, isolate)
        taps.check(self.all_blocks())
        logits, _, _ = self._run(images, training, taps)
        return logits, taps.found

    def tap_shape(self, place: str, images_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the tensor at a place for images `(B, height, width, channels)`.

        Args:
            place: name of a place, see `kerasvit.models.taps.Taps`; not a block's output.
            images_shape: shape of the images.
        """
        stage = place.split("_")[0]
        length = self.token_layout(images_shape[1:3], stage).num_tokens
        if place.endswith("_tokens"):
            return (images_shape[0], length, self.hidden_dim)
        heads = self.all_blocks()[0].num_score_heads if stage == "sa" else self.num_heads
        return (images_shape[0], heads, 1 if stage == "ca" else length, length)

    def all_blocks(self) -> list[keras.layers.Layer]:
        """Return the blocks in order of depth, class-attention blocks last."""
        return [*self.blocks, *self.class_blocks]

    def token_layout(
        self, image_shape: tuple[int, ...] | None = None, stage: str = "sa"
    ) -> TokenLayout:
        """Return what the token axis of the scores means.

        Args:
            image_shape: `(height, width)` or `(height, width, channels)` of the images that were
                given to the model; its own `image_shape` if None.
            stage: "sa" for self-attention scores, "ca" for class-attention scores.

        Raises:
            ValueError: if the model lacks the stage, or the patch size does not divide the image.
        """
        height, width = (image_shape or self.image_shape)[:2]
        grid = self.patch_embedding.grid(height, width)
        has_learned_query = stage == "ca" and getattr(self, "pooling", None) == "attention"
        return TokenLayout(self._prefix(stage), grid, self.patch_size, has_learned_query)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, serialisable as JSON."""
        return {
            **{name: _plain(getattr(self, name)) for name in self.arguments},
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self._policy_of_layers()),
        }

    def _resolve_policies(self):
        """Give each layer its own policy of a map: quantized, it cannot be saved with a map."""
        for layer in self._flatten_layers():
            policy = layer.dtype_policy
            if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
                layer._dtype_policy = policy[layer.path]

    def _policy_of_layers(self) -> keras.dtype_policies.DTypePolicy:
        """Return the dtype policy, with the exceptions that `quantize` made among the layers."""
        policy = self.dtype_policy
        quantized = {
            layer.path: layer.dtype_policy
            for layer in self._flatten_layers()
            if layer.quantization_mode
        }
        return keras.dtype_policies.DTypePolicyMap(policy.name, quantized) if quantized else policy

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None) -> Self:
        """Make a model from its config."""
        return cls(**config)

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
            super().save(temporary, overwrite=True, **kwargs)

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


def _plain(value: Any) -> Any:
    """Copy a JSON-able value into plain dicts and lists.

    Keras wraps those that are attributes of a layer, and a deep copy of the wrapper would copy
    the layer's weights with it.
    """
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _pair(size) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


def _image_shape(shape) -> tuple[int, int, int]:
    shape = (shape, shape) if isinstance(shape, int) else tuple(shape)
    shape = (*shape, 3) if len(shape) == 2 else shape
    require(
        len(shape) == 3 and all(isinstance(side, int) and side > 0 for side in shape),
        "image_shape must be (height, width, channels), all positive integers. "
        f"Received: image_shape={shape}",
    )
    return shape
