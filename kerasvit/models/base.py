"""What ViT and CaiT share: the score contract, and views that share layers."""

import operator
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, dataclass_transform

import keras

from kerasvit.layers.base import require, require_at_least, require_rate
from kerasvit.layers.direct_calls import direct_calls
from kerasvit.layout import BlockKey, TokenLayout
from kerasvit.models import openvino
from kerasvit.models.arguments import DeclaredArguments, check_policy
from kerasvit.models.fitting_images import check_images
from kerasvit.models.forms import Blocks, ImageShape, PatchSize, Pooling, Record
from kerasvit.models.problem import problem_of
from kerasvit.models.steps.logits import LogitSteps
from kerasvit.models.taps import NO_TAPS, Taps
from kerasvit.models.views import Views
from kerasvit.private_names import unlock_state

ATTENTION_MODES = ("full", "cls", "none")


@dataclass_transform()
class ScoreModel(LogitSteps, Views):
    """A model that returns `(logits, sa_scores, ca_scores)` and trains on the logits.

    A subclass declares the arguments of its constructor in its body, as a dataclass does, and makes
    its layers in `_make_layers`. A view made by `with_attention` shares those layers.
    """

    image_shape: ImageShape
    patch_size: PatchSize
    hidden_dim: int
    num_heads: int
    mlp_dim: int
    pooling: Pooling
    position_resampling: str
    layer_scale_init_value: float | None
    layer_norm_epsilon: float
    dropout_rate: float
    attention_dropout_rate: float
    drop_path_rate: float
    attention: str
    attention_blocks: Blocks
    record: Record

    patch_embedding: Any
    position: Any
    blocks: list[Any]

    positive_arguments: ClassVar[tuple[str, ...]] = (
        "hidden_dim",
        "num_layers",
        "num_heads",
        "mlp_dim",
    )

    scores_in_steps = False

    def _start(self, arguments: dict[str, Any], kwargs: dict[str, Any]) -> None:
        """Keep the arguments as attributes, then make the layers or take those of another model."""
        shared = self._take_shared()
        if shared is not None:
            arguments = {**arguments, **shared.arguments}
            kwargs = {**kwargs, **shared.keras_arguments}
        check_policy(kwargs.get("dtype"))
        super(DeclaredArguments, self).__init__(**kwargs)
        self._take_early_layers()
        if openvino.is_in_use():
            # Keras' `predict` and `evaluate` then call the model, which compiles in float32.
            self.supports_jit = False
        for name, value in arguments.items():
            setattr(self, name, value)
        self._check_arguments()
        layers = self._make_layers() if shared is None else shared.layers
        self._layer_names = tuple(layers)
        for name, layer in layers.items():
            setattr(self, name, layer)
        if shared is None:
            self.build((None, *self.image_shape))
            self._resolve_policies()
            # A class that derives from this one may add layers after this constructor.
            unlock_state(self)
        self.built = True

    def _check_arguments(self) -> None:
        """Raise `UsageError` unless every argument is in its range."""
        require_at_least(1, **{name: getattr(self, name) for name in self.positive_arguments})
        require_at_least(0, num_classes=self.num_classes)
        for name in ("dropout_rate", "attention_dropout_rate", "drop_path_rate"):
            require_rate(name, getattr(self, name))
        require(
            self.layer_norm_epsilon >= 0,
            "layer_norm_epsilon must not be negative. "
            f"Received: layer_norm_epsilon={self.layer_norm_epsilon}",
        )
        self._check_attention()
        problem_of(self.record, max(self.num_classes, 1))

    def _check_attention(self) -> None:
        require(
            self.attention in ATTENTION_MODES,
            f"attention must be one of {ATTENTION_MODES}. Received: attention={self.attention!r}",
        )
        if self.attention_blocks is not None:
            numbers = self._block_numbers("attention_blocks", self.attention_blocks)
            self.attention_blocks = sorted(set(numbers))

    def _block_numbers(self, name: str, blocks: Iterable[int]) -> list[int]:
        """Return the numbers of self-attention blocks, none negative, or raise `UsageError`."""
        depth = self.num_layers
        try:
            numbers = [operator.index(block) for block in blocks]
        except TypeError:
            numbers = [depth]
        require(
            all(-depth <= number < depth for number in numbers),
            f"{name} must be a list of block numbers from {-depth} to {depth - 1}. "
            f"Received: {blocks!r}",
        )
        return [number % depth for number in numbers]

    def _wants_scores(self, block: int) -> bool:
        return self.attention_blocks is None or block in self.attention_blocks

    def _make_layers(self) -> dict[str, Any]:
        """Return new layers by the names of the attributes that keep them."""
        raise NotImplementedError

    def _prefix(self, stage: str) -> tuple[str, ...]:
        """Return the names of the tokens before the patches in the scores of a stage."""
        raise NotImplementedError

    def _forward(self, images: Any, training: bool | None, taps: Taps) -> tuple[Any, dict, dict]:
        """Return logits and scores; layers may be called directly inside."""
        raise NotImplementedError

    def build(self, input_shape):
        """Create the weights of every layer, unless they exist, as they do in every new model.

        Layers that a derived class has added get theirs from a call with a symbol: a file that is
        loaded fills them before anybody calls the model.
        """
        if self.built:
            if not all(layer.built for layer in self.layers):
                self.compute_output_spec(keras.KerasTensor(input_shape, self.compute_dtype))
            return
        for layer in self.own_layers():
            layer.build(self._input_shape_of(layer, input_shape))
        self.built = True

    def _input_shape_of(self, layer: keras.layers.Layer, input_shape):
        if layer is self.patch_embedding:
            return input_shape
        if layer.name in self.head_names and not self.gives_tokens:
            return (input_shape[0], self.hidden_dim)
        return (input_shape[0], None, self.hidden_dim)

    def __call__(self, images, *args, **kwargs):
        """Call the model.

        Raises:
            UsageError: if the images are not one float tensor `(B, height, width, channels)`.
        """
        check_images(images, self.image_shape)
        return super().__call__(images, *args, **kwargs)

    def call(self, images, training=None):
        """Return `(logits, sa_scores, ca_scores)`."""
        if openvino.is_in_use() and not training and openvino.is_known(images):
            return openvino.call(self, images)
        return self._run(images, training)

    def _run(self, images, training, taps: Taps = NO_TAPS):
        with direct_calls(self, self._plain_weight, images, training):
            return self._forward(images, training, taps)

    @property
    def _plain_weight(self) -> Any:
        """A weight of a layer with the model's own dtype policy, at hand without a search."""
        return self.position.embedding

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
        places = Taps(taps, isolate)
        places.check(self.all_blocks())
        logits, _, _ = self._run(images, training, places)
        return logits, places.found

    def tap_shape(self, place: str, images_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the tensor at a place for images `(B, height, width, channels)`.

        Args:
            place: name of a place, see `kerasvit.models.taps.Taps`; not a block's output.
            images_shape: shape of the images.
        """
        stage = BlockKey.parse(place).stage
        length = self.token_layout(images_shape[1:3], stage).num_tokens
        if place.endswith("_tokens"):
            return (images_shape[0], length, self.hidden_dim)
        block = self.blocks[0] if stage == "sa" else self.class_blocks[0]
        heads = block.num_score_heads if stage == "sa" else block.num_heads
        return (images_shape[0], heads, 1 if stage == "ca" else length, length)

    def all_blocks(self) -> list[Any]:
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
        has_learned_query = stage == "ca" and self.pooling == "attention"
        return TokenLayout(self._prefix(stage), grid, self.patch_size, has_learned_query)
