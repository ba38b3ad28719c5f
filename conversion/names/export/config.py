"""What `config.json` and `preprocessor_config.json` of a model say, in transformers' words."""

from collections.abc import Callable, Mapping
from typing import Any

from kerasvit.conversion.names.export.fitting import mlp_ratio
from kerasvit.conversion.names.export.network import Network
from kerasvit.conversion.names.export.networks import ACTIVATIONS
from kerasvit.layers.rotary.rules import RULES
from kerasvit.models.problem import MULTI_LABEL


def config_of(model: Any, network: Network) -> dict[str, Any]:
    """Return what `config.json` says of a model."""
    height, width, channels = model.image_shape
    config: dict[str, Any] = {
        "architectures": [network.classifier if model.num_classes else network.backbone],
        "model_type": network.model_type,
        "dtype": "float32",
        "hidden_size": model.hidden_dim,
        "num_hidden_layers": model.num_layers,
        "num_attention_heads": model.num_heads,
        "hidden_act": ACTIVATIONS[model.activation],
        "layer_norm_eps": model.layer_norm_epsilon,
        "image_size": height if height == width else [height, width],
        "patch_size": _side_or_sides(model.patch_size),
        "num_channels": channels,
        **_OWN.get(network.model_type, _of_vit)(model),
    }
    return config | _of_classes(model) if model.num_classes else config


_WITHOUT_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def _of_vit(model: Any) -> dict[str, Any]:
    return {
        **_WITHOUT_DROPOUT,
        "qkv_bias": model.use_qkv_bias,
        "intermediate_size": model.mlp_dim,
    }


def _of_dinov2(model: Any) -> dict[str, Any]:
    is_gated = model.mlp_type == "gated"
    registers = {"num_register_tokens": model.num_registers} if model.num_registers else {}
    return {
        **_WITHOUT_DROPOUT,
        "qkv_bias": model.use_qkv_bias,
        **({"hidden_act": "gelu"} if is_gated else {}),
        "mlp_ratio": mlp_ratio(model),
        "use_swiglu_ffn": is_gated,
        "layerscale_value": model.layer_scale_init_value,
        **registers,
    }


def _of_dinov3(model: Any) -> dict[str, Any]:
    periods = model.rope_periods
    return {
        "intermediate_size": model.mlp_dim,
        "num_register_tokens": model.num_registers,
        "layerscale_value": model.layer_scale_init_value,
        "use_gated_mlp": model.mlp_type == "gated",
        "query_bias": model.use_qkv_bias,
        "key_bias": model.use_qkv_bias and model.use_key_bias,
        "value_bias": model.use_qkv_bias,
        "proj_bias": model.use_projection_bias,
        "mlp_bias": model.use_projection_bias,
        "rope_theta": model.rope_temperature or RULES["dinov3"].temperature,
        # transformers passes it over: it computes them in float32.
        **({} if periods == "float32" else {"rope_periods": periods}),
    }


def _of_beit(model: Any) -> dict[str, Any]:
    return {
        **_WITHOUT_DROPOUT,
        "intermediate_size": model.mlp_dim,
        "layer_scale_init_value": model.layer_scale_init_value or 0.1,
        "use_relative_position_bias": True,
        "use_absolute_position_embeddings": model.position_embedding == "all",
        "use_mean_pooling": model.pooling == "average",
    }


_OWN: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "dinov2": _of_dinov2,
    "dinov2_with_registers": _of_dinov2,
    "dinov3_vit": _of_dinov3,
    "beit": _of_beit,
}


def _of_classes(model: Any) -> dict[str, Any]:
    config: dict[str, Any] = {}
    problem = model.problem
    # transformers takes one logit for a value unless it is told; its one name is that of yes.
    names = problem.names[-model.num_classes :]
    names = names or [f"LABEL_{index}" for index in range(model.num_classes)]
    if problem.stated or problem.is_binary:
        is_label = problem.is_binary or problem.has_many_labels
        config["problem_type"] = MULTI_LABEL if is_label else problem.problem_type
    config["id2label"] = {str(index): str(name) for index, name in enumerate(names)}
    config["label2id"] = {str(name): index for index, name in enumerate(names)}
    return config


def _side_or_sides(sides: tuple[int, int]) -> int | list[int]:
    return sides[0] if sides[0] == sides[1] else list(sides)


# Numbers of Pillow's filters (PIL.Image.Resampling).
_RESAMPLING = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def processor_of(preprocessing: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what `preprocessor_config.json` says of how pictures are prepared.

    Args:
        preprocessing: of a model's record.

    Returns:
        None where no image processor of transformers prepares them so.
    """
    height, width = preprocessing["image_size"]
    fraction = preprocessing.get("crop_fraction", 0.875)
    config: dict[str, Any] = {
        "do_convert_rgb": True,
        "do_resize": True,
        "resample": _RESAMPLING[preprocessing.get("interpolation", "bicubic")],
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(preprocessing["mean"]),
        "image_std": list(preprocessing["std"]),
    }
    size = {"height": height, "width": width}
    mode = preprocessing.get("crop_mode", "center")
    if mode == "center" and height == width:
        shortest = {"shortest_edge": int(height / fraction)}
        return {
            "image_processor_type": "BitImageProcessor",
            **config,
            "size": shortest,
            "do_center_crop": True,
            "crop_size": size,
        }
    if mode == "squash" and fraction == 1:
        return {"image_processor_type": "ViTImageProcessor", **config, "size": size}
    return None
