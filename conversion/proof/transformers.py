"""transformers' own model of a checkpoint with its config.json, and its outputs."""

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from kerasvit.conversion.files.checkpoint import Checkpoint
from kerasvit.conversion.proof.outputs import NoReference, Outputs
from kerasvit.conversion.proof.positions import resampled
from kerasvit.conversion.proof.timm.package import prepare_torchvision
from kerasvit.layers.rotary.rules import dinov3_periods
from kerasvit.models.base import ScoreModel

# The class of the network of pictures alone, by model_type.
_TOWERS = {
    "vit": "ViTModel",
    "deit": "DeiTModel",
    "vit_msn": "ViTMSNModel",
    "ijepa": "IJepaModel",
    "dinov2": "Dinov2Model",
    "dinov2_with_registers": "Dinov2WithRegistersModel",
    "dinov3_vit": "DINOv3ViTModel",
    "beit": "BeitModel",
    "data2vec-vision": "Data2VecVisionModel",
    "clip_vision_model": "CLIPVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
}
# Tensors that may be missing: no output that is compared needs them.
_UNUSED = ("pooler.", "mask_token")
_FINAL_NORMS = ("layernorm", "post_layernorm", "norm")
_POSITIONS = "position_embeddings"


def is_installed() -> bool:
    """Tell whether transformers and torch are there."""
    return all(importlib.util.find_spec(name) for name in ("torch", "transformers"))


class TransformersReference:
    """transformers' model of a config.json with the weights of a checkpoint.

    Args:
        config: of the network of pictures, as `facts.huggingface.vision_config` returns it.
        architecture: the class that the config names, if it does.
        stored: the checkpoint with the tensors' own names.
        model: the Keras model to compare with.
        image_size: `(height, width)` to run on.

    Raises:
        NoReference: if transformers can't be imported, or can't make or fill the model.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        architecture: str | None,
        stored: Checkpoint,
        model: ScoreModel,
        image_size: tuple[int, int],
    ):
        self.model = model
        self.image_size = image_size
        try:
            with _quiet() as transformers:
                self._module = _load(transformers, config, architecture, stored, model, image_size)
                version = transformers.__version__
        except NoReference:
            raise
        except Exception as error:  # of any version of a large package
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise NoReference(
                f"transformers can't make the model of config.json: {reason}"
            ) from error
        name = type(self._module).__name__
        self.label = f"transformers {version}'s {name}, as config.json says"

    def run(self, images: np.ndarray) -> Outputs:
        """Return what transformers' model computes."""
        import torch

        self._module.to(torch.float64 if images.dtype == np.float64 else torch.float32)
        pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        with torch.no_grad():
            return outputs_of(self._module, self.model, pixels)


def eager(module: Any) -> Any:
    """Let a model of transformers write its attention out, so that there are scores."""
    module.set_attn_implementation("eager")
    return module


def outputs_of(module: Any, model: ScoreModel, pixels: Any) -> Outputs:
    """Return the outputs of a model of transformers for a batch `(B, C, height, width)`.

    Args:
        module: a model of transformers with eager attention.
        model: the Keras model whose outputs are to be compared.
        pixels: torch tensor.
    """
    norm = _final_norm(module)
    caught: list[Any] = []
    handle = norm.register_forward_hook(lambda part, inputs, output: caught.append(output))
    try:
        outputs = module(pixel_values=pixels, output_attentions=True, return_dict=True)
    finally:
        handle.remove()
    tokens = next((one for one in caught if one.ndim == 3), None)
    if tokens is None:  # CLIP norms the class token alone
        tokens = norm(outputs.last_hidden_state)
    logits = getattr(outputs, "logits", None)
    if logits is None or not model.num_classes:
        logits = _pooled(outputs, model, tokens, pixels)
    scores = {
        f"sa_ffn_block_{index:02d}_att": score.numpy()
        for index, score in enumerate(outputs.attentions or ())
        if score is not None
    }
    return Outputs(logits.numpy(), tokens.numpy(), scores)


def _pooled(outputs: Any, model: ScoreModel, tokens: Any, pixels: Any) -> Any:
    if model.pooling == "attention" or model.normed_after_pooling:
        return outputs.pooler_output
    if model.is_distilled:
        return tokens[:, :2].mean(dim=1)
    if model.pooling == "class":
        return tokens[:, 0]
    layout = model.token_layout(tuple(pixels.shape[2:]))
    patches = tokens[:, layout.num_tokens - layout.grid[0] * layout.grid[1] :]
    return patches.mean(dim=1)


def _final_norm(module: Any) -> Any:
    for part in module.modules():
        for name in _FINAL_NORMS:
            if getattr(part, name, None) is not None:
                return getattr(part, name)
    raise NoReference(f"{type(module).__name__} has no final norm that is known")


def _load(
    transformers: Any,
    config: Mapping[str, Any],
    architecture: str | None,
    stored: Checkpoint,
    model: ScoreModel,
    image_size: tuple[int, int],
) -> Any:
    import torch

    kind = config["model_type"]
    options = {key: value for key, value in config.items() if key not in ("model_type", "dtype")}
    state = {name: torch.from_numpy(stored[name]) for name in stored.names}
    place = next((name for name in state if name.endswith(_POSITIONS)), None)
    if place is not None and state[place].ndim == 3:
        positions = resampled(state[place].numpy(), model, image_size)
        state[place] = torch.from_numpy(positions)
        options["image_size"] = list(image_size)
    elif image_size != tuple(model.image_shape[:2]) and model.has_position_table:
        raise NoReference("the positions of such a model can't be resampled")
    _check_biases(model, image_size)
    module_type = _module_type(transformers, architecture, kind)
    made, info = module_type.from_pretrained(
        None,
        config=transformers.AutoConfig.for_model(kind, **options),
        state_dict=state,
        attn_implementation="eager",
        output_loading_info=True,
    )
    missing = [
        name
        for name in (*info["missing_keys"], *(one[0] for one in info["mismatched_keys"]))
        if not any(unused in name for unused in _UNUSED)
    ]
    if missing:
        raise NoReference(f"transformers' model needs {len(missing)} tensors more, {missing[0]}")
    _set_periods(made, model)
    return made.eval()


def _check_biases(model: ScoreModel, image_size: tuple[int, int]) -> None:
    """Raise `NoReference` where transformers makes other relative biases of a table than timm.

    It resamples a table by another rule, and takes the rows of one of a rectangle for columns.
    """
    own = tuple(model.image_shape[:2])
    has_square = len(set(model.token_layout(own).grid)) == 1
    if getattr(model, "use_relative_position_bias", False) and (
        image_size != own or not has_square
    ):
        raise NoReference("transformers has relative biases of square grids of one size alone")


def _set_periods(module: Any, model: ScoreModel) -> None:
    """Give DINOv3 the rotary periods of the model: transformers computes its own in float32."""
    import torch

    for part in module.modules():
        if hasattr(part, "inv_freq") and model.rope_periods != "float32":
            periods = dinov3_periods(4 * len(part.inv_freq), part.base, model.rope_periods)
            part.inv_freq.copy_(1 / torch.from_numpy(periods))


def _module_type(transformers: Any, architecture: str | None, kind: str) -> Any:
    base = _TOWERS[kind]
    family = base.removesuffix("Model")
    is_own = architecture is not None and architecture.startswith(family.removesuffix("Vision"))
    is_joint = architecture is not None and architecture.endswith(("CLIPModel", "SiglipModel"))
    named = (
        getattr(transformers, architecture, None)
        if architecture and is_own and not is_joint
        else None
    )
    return named or getattr(transformers, base)


@contextlib.contextmanager
def _quiet() -> Iterator[Any]:
    """Import transformers, and keep it from reporting what it loads."""
    prepare_torchvision()
    import transformers

    logging = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield transformers
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
