"""Views of a model: other arguments, or Keras' plain forms, with the same layers."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, NamedTuple, Self

import keras

from kerasvit.layers.base import constructor_arguments, kept_arguments, require
from kerasvit.models.family import FamilyFacts
from kerasvit.models.fitting_images import check_images
from kerasvit.models.saving import SavedModel
from kerasvit.models.taps import OUTPUT
from kerasvit.private_names import mark_called


class Shared(NamedTuple):
    """What a view is made of: the layers of another model, and its own arguments."""

    layers: dict[str, Any]
    arguments: dict[str, Any]
    keras_arguments: dict[str, Any]


class Views(FamilyFacts, SavedModel):
    """What makes a model that shares its layers with views of it."""

    # Arguments that change what is returned and not the weights, beside those of attention.
    view_arguments: ClassVar[tuple[str, ...]] = ()

    _layer_names: tuple[str, ...]

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

    def headless(self) -> Self:
        """Return a view without a head: its first output is the feature that a head reads.

        It shares the model's weights and returns no scores. The feature is `(B, F)`, as pooled: the
        class token of most models; of a distilled model the class token's and the distillation
        token's, side by side, `(B, 2, D)`; of a CaiT with `pooling="none"` every token's.
        """
        overrides = {"distillation_output": "both"} if self.is_distilled else {}
        return self._view(num_classes=0, attention="none", **overrides)

    def features(
        self,
        images: Any,
        training: bool | None = None,
        *,
        blocks: Iterable[int] | None = None,
        normalised: bool = True,
    ) -> Any:
        """Return what a head reads of these images, or the tokens that blocks put out.

        The first, which timm calls `pre_logits`, is the first output of `headless()`; keep that
        view where features of many batches are wanted, for `predict`, or as a part of another
        model. The second are DINO's `get_intermediate_layers`.

        Args:
            images: as for a call.
            training: as for a call.
            blocks: numbers of self-attention blocks, negative ones counted from the last.
            normalised: whether the model's last norm is applied to the tokens of blocks, as to
                those of the last one; not where it acts on the pooled feature.

        Returns:
            What the head reads. With `blocks` a list of tokens `(B, N, D)`, one for each in the
            order of `blocks`, the tokens before the patches first, as `token_layout()` says.

        Raises:
            UsageError: if there is no such block.

        Source: Caron et al. 2021, dino/vision_transformer.py `get_intermediate_layers`
        (https://arxiv.org/abs/2104.14294).
        """
        if blocks is None:
            return self.headless()(images, training=training)[0]
        check_images(images, self.image_shape)
        images = keras.ops.convert_to_tensor(images, dtype=self.compute_dtype)
        chosen = [self.blocks[number] for number in self._block_numbers("blocks", blocks)]
        places = {f"{block.name}_{OUTPUT}": None for block in chosen}
        _, found = self.call_with_taps(images, places, training=bool(training))
        tokens = [found[f"{block.name}_{OUTPUT}"] for block in chosen]
        if not normalised or self.normed_after_pooling or not hasattr(self, "norm"):
            return tokens
        return [self.norm(each) for each in tokens]

    def classifying(self) -> Self:
        """Return a view that gives one set of logits, `(B, K)`, and no scores.

        A distilled model's are the mean of its two heads', whatever it returns itself.
        """
        overrides: dict[str, Any] = {"distillation_output": "average"} if self.is_distilled else {}
        return self.with_attention("none", **overrides)

    def classifier(self, image_shape: tuple[int, ...] | None = None) -> keras.Model:
        """Return a plain Keras model, Functional, from images to logits; it shares the weights.

        It is for code that expects one tensor: any loss, metric, `predict`, or a larger model. No
        scores are made. A distilled model's logits are the mean of its two heads'.

        Args:
            image_shape: `(height, width)`, with or without channels, of the images; the model's own
                `image_shape` if None. A Functional model takes one size.

        Returns:
            A `keras.Model` of images `(B, height, width, channels)` to logits `(B, num_classes)`,
            or to the feature `(B, D)` where there is no head.
        """
        return _functional(self.classifying(), image_shape, "classifier", _first)

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
        return _functional(view, image_shape, "functional", _flat)

    def _take_shared(self) -> Shared | None:
        """Return what a view that is being made shares, once; None for a model of its own."""
        return self.__dict__.pop("_shared", None)

    def _view(self, **changes: Any) -> Self:
        """Return a model of other arguments that shares these layers, without heads if it has none.

        The constructor runs, a derived class's own too, and `_start` finds what it is to share.
        """
        arguments = {**kept_arguments(self, self.arguments), **changes}
        left_out = () if arguments["num_classes"] else self.head_names
        names = [name for name in self._layer_names if name not in left_out]
        layers = {name: getattr(self, name) for name in names}
        view = type(self).__new__(type(self))
        keras_arguments = {
            "name": self.name,
            "dtype": self.dtype_policy,
            "trainable": self.trainable,
        }
        view.__dict__["_shared"] = Shared(layers, arguments, keras_arguments)
        view.__dict__["_lent"] = lent = self._added_layers()
        type(self).__init__(view, **kept_arguments(self, constructor_arguments(type(self))))
        for name in [name for name in lent if not hasattr(view, name)]:
            setattr(view, name, lent[name])
        del view.__dict__["_lent"]
        return view

    def _added_layers(self) -> dict[str, Any]:
        """Return the layers, and lists of them, that a derived class has added, by attribute."""
        attributes = {**vars(self)}
        if keras.backend.backend() == "torch":
            # PyTorch keeps the modules of a module elsewhere.
            attributes |= dict(self.named_children())
        known = {"_layers", *self._layer_names}
        return {
            name: value
            for name, value in attributes.items()
            if name not in known and _is_of_layers(value)
        }

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute; a view that is being made takes the layers that its model has added.

        Layers that a derived class makes before it calls this constructor wait for it: PyTorch
        would not have them.
        """
        value = self.__dict__.get("_lent", {}).get(name, value)
        if _is_of_layers(value) and not self.__dict__.get("_takes_layers"):
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def _take_early_layers(self) -> None:
        """Make those layers attributes that Keras knows, now that it can."""
        early = {name: value for name, value in vars(self).items() if _is_of_layers(value)}
        self.__dict__["_takes_layers"] = True
        for name, value in early.items():
            del self.__dict__[name]
            setattr(self, name, value)

    def own_layers(self) -> list[keras.layers.Layer]:
        """Return the layers that the model's own class makes, without those of a derived one."""
        attributes = [getattr(self, name) for name in self._layer_names]
        return [
            layer
            for attribute in attributes
            for layer in (attribute if isinstance(attribute, list) else [attribute])
        ]


def _is_of_layers(value: Any) -> bool:
    items = value if isinstance(value, list) and value else [value]
    return all(isinstance(item, keras.layers.Layer) for item in items)


def _first(outputs: tuple[Any, dict, dict]) -> Any:
    return outputs[0]


def _flat(outputs: tuple[Any, dict, dict]) -> dict[str, Any]:
    logits, sa_scores, ca_scores = outputs
    return {"logits": logits, **sa_scores, **ca_scores}


def _functional(
    view: Any, image_shape: tuple[int, ...] | None, suffix: str, chosen: Callable[..., Any]
) -> keras.Model:
    shape = (*(image_shape or view.image_shape)[:2], view.image_shape[2])
    images = keras.Input(shape, name="images", dtype=view.dtype_policy.compute_dtype)
    outputs = chosen(view(images))
    return mark_called(keras.Model(images, outputs, name=f"{view.name}_{suffix}"))
