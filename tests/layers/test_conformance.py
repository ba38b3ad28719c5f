"""What every layer promises as a Keras layer, one table of layers against one list of promises."""

import dataclasses
import inspect
import json
from typing import Any

import keras
import numpy as np
import pytest

from kerasvit import layers
from kerasvit.layers.attention.head_mixing import HeadMixing
from kerasvit.layers.base import ConfiguredLayer

WIDTH = 12
TOKENS = (16, WIDTH)
DROPOUTS = {"attention_dropout_rate": 0.2, "dropout_rate": 0.1}
ATTENTION = {"num_heads": 3, "use_qkv_bias": False, "use_projection_bias": False, **DROPOUTS}
BLOCK = {
    "num_heads": 3,
    "mlp_dim": 20,
    "use_qkv_bias": False,
    "mlp_type": "gated",
    "activation": "quick_gelu",
    "layer_scale_init_value": 0.3,
    "layer_norm_epsilon": 1e-5,
    "drop_path_rate": 0.4,
    "use_projection_bias": False,
    "use_mlp_layer_scale": False,
    "norm_type": "rms",
    **DROPOUTS,
}
SELF_ATTENTION = {
    **ATTENTION,
    "use_qk_norm": True,
    "use_sub_norm": True,
    "use_key_bias": False,
    "num_key_value_heads": 1,
    "relative_grid": (3, 5),
    "norm_type": "rms",
    "layer_norm_epsilon": 1e-5,
}
SELF_ATTENTION_PATHS = {
    "relative_bias/table",
    "qkv/kernel",
    "projection/kernel",
    "query_norm/scale",
    "key_norm/scale",
    "sub_norm/scale",
}
DIFFERENTIAL_PATHS = {
    *SELF_ATTENTION_PATHS,
    "head_norm/scale",
    *(f"lambda_{part}_{index}" for part in ("query", "key") for index in (1, 2)),
}
ENCODER_BLOCK = {
    **BLOCK,
    "use_qk_norm": True,
    "use_sub_norm": True,
    "use_mlp_sub_norm": True,
    "use_key_bias": False,
    "num_key_value_heads": 3,  # those of queries: the attention is a differential one
    "relative_grid": (3, 5),
    "initial_lambda": 0.4,
}
MLP_ARGUMENTS = {
    "mlp_dim": 20,
    "dropout_rate": 0.1,
    "use_bias": False,
    "use_output_bias": True,
    "use_sub_norm": True,
    "norm_type": "rms",
    "layer_norm_epsilon": 1e-5,
}
MLP_PATHS = {"dense_1/kernel", "dense_2/kernel"}


def _under(prefix, names):
    return {f"{prefix}/{name}" for name in names}


BLOCK_PATHS = {
    "attention_norm/scale",
    "mlp_norm/scale",
    *_under("mlp", MLP_PATHS),
    "attention_scale/gamma",
    "attention/projection/kernel",
}
ENCODER_BLOCK_PATHS = {
    *BLOCK_PATHS,
    "mlp/sub_norm/scale",
    *_under("attention", DIFFERENTIAL_PATHS),
}
MIXING_PATHS = {
    f"mixing_{when}/{name}" for when in ("before", "after") for name in ("kernel", "bias")
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer with every argument away from its default, and what it is called with.

    `probabilities` is the index of the output whose last axis sums to 1, if there is one.
    """

    layer: type
    arguments: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    paths: set[str]
    call_arguments: dict[str, Any] = dataclasses.field(default_factory=dict)
    probabilities: int | None = None

    def make(self, **kwargs):
        return self.layer(**self.arguments, **kwargs)

    def build(self, batch=2, **kwargs):
        """Build without a call, and give every weight a random value."""
        layer = self.make(**kwargs)
        layer.build(*((batch, *shape) for shape in self.shapes))
        rng = np.random.default_rng(0)
        for variable in layer.weights:
            values = rng.normal(scale=0.5, size=variable.shape)
            variable.assign(abs(values) if variable.path.endswith("variance") else values)
        return layer

    def inputs(self, batch=2):
        rng = np.random.default_rng(1)
        return [rng.normal(size=(batch, *shape)).astype(np.float32) for shape in self.shapes]

    def run(self, layer, batch=2):
        return keras.tree.flatten(layer(*self.inputs(batch), **self.call_arguments))


CASES = {
    "PatchEmbedding": Case(
        layers.PatchEmbedding,
        {"hidden_dim": WIDTH, "patch_size": (4, 6), "use_bias": False, "ignore_remainder": True},
        ((13, 35, 2),),
        ((15, WIDTH),),
        {"projection/kernel"},
    ),
    "LearnedTokens": Case(
        layers.LearnedTokens, {"num_tokens": 3}, (TOKENS,), ((19, WIDTH),), {"tokens"}
    ),
    "PositionEmbedding": Case(
        layers.PositionEmbedding,
        {"grid": (2, 7), "num_prefix": 1, "resampling": "bicubic_offset"},
        (TOKENS,),
        (TOKENS,),
        {"embedding"},
        {"grid": (3, 5)},
    ),
    "RotaryEmbedding": Case(
        layers.RotaryEmbedding,
        {
            "rope_type": "mixed",
            "head_dim": 8,
            "temperature": 5.0,
            "reference_grid": (2, 7),
            "offset": 0.5,
            "periods": "bfloat16",
            "num_blocks": 2,
            "num_heads": 3,
        },
        ((3, 16, 8),),
        ((3, 16, 8),),
        {"frequencies"},
        {"grid": (3, 5), "block": 1},
    ),
    "RelativePositionBias": Case(
        layers.RelativePositionBias,
        {"grid": (2, 7), "num_heads": 3},
        ((3, 16, 16),),
        ((3, 16, 16),),
        {"table"},
        {"grid": (3, 5)},
    ),
    "SelfAttention": Case(
        layers.SelfAttention,
        SELF_ATTENTION,
        (TOKENS,),
        (TOKENS, (3, 16, 16)),
        SELF_ATTENTION_PATHS,
        probabilities=1,
    ),
    "DifferentialAttention": Case(
        layers.DifferentialAttention,
        {**SELF_ATTENTION, "num_key_value_heads": 3, "initial_lambda": 0.4},
        (TOKENS,),
        (TOKENS, (3, 16, 16)),
        DIFFERENTIAL_PATHS,
    ),
    "AttentionPooling": Case(
        layers.AttentionPooling,
        {
            **ATTENTION,
            "mlp_dim": 20,
            "activation": "relu",
            "norm_type": "rms",
            "layer_norm_epsilon": 1e-5,
        },
        (TOKENS,),
        ((WIDTH,), (3, 1, 16)),
        {
            "latent",
            "query/kernel",
            "key_value/kernel",
            "projection/kernel",
            "mlp_norm/scale",
            *(f"mlp/dense_{index}/{name}" for index in (1, 2) for name in ("kernel", "bias")),
        },
        probabilities=1,
    ),
    "TalkingHeadsAttention": Case(
        layers.TalkingHeadsAttention,
        ATTENTION,
        (TOKENS,),
        (TOKENS, (3, 16, 16)),
        {"qkv/kernel", "projection/kernel", *MIXING_PATHS},
        {"scores_before_mixing": True},
        probabilities=1,
    ),
    "HeadMixing": Case(HeadMixing, {}, ((3, 16, 16),), ((3, 16, 16),), {"kernel", "bias"}),
    "ClassAttention": Case(
        layers.ClassAttention,
        ATTENTION,
        (TOKENS,),
        ((1, WIDTH), (3, 1, 16)),
        {f"{name}/kernel" for name in ("query", "key", "value", "projection")},
        probabilities=1,
    ),
    "MLP": Case(
        layers.MLP,
        {**MLP_ARGUMENTS, "activation": "relu"},
        (TOKENS,),
        (TOKENS,),
        {*MLP_PATHS, "dense_2/bias", "sub_norm/scale"},
    ),
    "GatedMLP": Case(
        layers.GatedMLP,
        {**MLP_ARGUMENTS, "activation": "gelu"},
        (TOKENS,),
        (TOKENS,),
        {*MLP_PATHS, "dense_2/bias", "sub_norm/scale"},
    ),
    "LayerScale": Case(layers.LayerScale, {"init_value": 0.3}, (TOKENS,), (TOKENS,), {"gamma"}),
    "StochasticDepth": Case(
        layers.StochasticDepth, {"rate": 0.3, "seed": 7}, (TOKENS,), (TOKENS,), set()
    ),
    "EncoderBlock": Case(
        layers.EncoderBlock,
        ENCODER_BLOCK,
        (TOKENS,),
        (TOKENS, (3, 16, 16)),
        ENCODER_BLOCK_PATHS,
    ),
    "PostNormBlock": Case(
        layers.PostNormBlock,
        ENCODER_BLOCK,
        (TOKENS,),
        (TOKENS, (3, 16, 16)),
        ENCODER_BLOCK_PATHS - {"attention_scale/gamma"},
    ),
    "ParallelBlock": Case(
        layers.ParallelBlock,
        ENCODER_BLOCK,
        (TOKENS,),
        (TOKENS, (3, 16, 16)),
        ENCODER_BLOCK_PATHS - {"mlp_norm/scale", "mlp_scale/gamma"},
    ),
    "BranchedBlock": Case(
        layers.BranchedBlock,
        {**ENCODER_BLOCK, "num_branches": 3},
        (TOKENS,),
        (TOKENS, (9, 16, 16)),
        {
            path.replace(part, f"{part}_{branch}", 1)
            for path in ENCODER_BLOCK_PATHS
            for part in [path.split("/")[0]]
            for branch in range(3)
        },
    ),
    "LayerScaleBlock": Case(
        layers.LayerScaleBlock,
        BLOCK,
        (TOKENS,),
        (TOKENS, (3, 16, 16)),
        {*BLOCK_PATHS, "attention/qkv/kernel", *_under("attention", MIXING_PATHS)},
        {"scores_before_mixing": True},
        probabilities=1,
    ),
    "ClassAttentionBlock": Case(
        layers.ClassAttentionBlock,
        BLOCK,
        ((1, WIDTH), (15, WIDTH)),
        ((1, WIDTH), (3, 1, 16)),
        {*BLOCK_PATHS, *(f"attention/{name}/kernel" for name in ("query", "key", "value"))},
        probabilities=1,
    ),
}


BATCH_NORM = {"batch_norm_epsilon": 1e-3, "batch_norm_momentum": 0.8}
BATCH_NORM_PATHS = {"gamma", "beta", "moving_mean", "moving_variance"}
LOCAL_PATHS = {
    *(f"convolution_{index}/{name}" for index in (1, 2) for name in ("kernel", "bias")),
    *_under("norm", BATCH_NORM_PATHS),
}
CASES |= {
    "ConvolutionalStem": Case(
        layers.ConvolutionalStem,
        {"hidden_dim": WIDTH, "patch_size": (4, 4), "activation": "relu", **BATCH_NORM},
        ((12, 20, 2),),
        ((15, WIDTH),),
        {
            *(f"convolution_{index}/kernel" for index in (0, 1)),
            *(f"norm_{index}/{name}" for index in (0, 1) for name in BATCH_NORM_PATHS),
        },
    ),
    "FourierPositions": Case(
        layers.FourierPositions,
        {"num_waves": 6, "temperature": 50.0},
        (TOKENS,),
        (TOKENS,),
        {"projection/kernel", "projection/bias"},
        {"grid": (2, 8)},
    ),
    "CrossCovarianceAttention": Case(
        layers.CrossCovarianceAttention,
        ATTENTION,
        (TOKENS,),
        (TOKENS, (3, 4, 4)),
        {"qkv/kernel", "projection/kernel", "temperature"},
        probabilities=1,
    ),
    "LocalInteraction": Case(
        layers.LocalInteraction,
        {"activation": "relu", **BATCH_NORM},
        (TOKENS,),
        (TOKENS,),
        LOCAL_PATHS,
        {"grid": (2, 8)},
    ),
    "CrossCovarianceBlock": Case(
        layers.CrossCovarianceBlock,
        BLOCK,
        (TOKENS,),
        (TOKENS, (3, 4, 4)),
        {
            *BLOCK_PATHS,
            "attention/qkv/kernel",
            "attention/temperature",
            "local_norm/scale",
            "local_scale/gamma",
            *_under("local_interaction", LOCAL_PATHS),
        },
        {"grid": (2, 8)},
        probabilities=1,
    ),
    "XCiTClassBlock": Case(
        layers.XCiTClassBlock,
        {**BLOCK, "use_tokens_norm": False},
        (TOKENS,),
        (TOKENS, (3, 1, 16)),
        {*BLOCK_PATHS, *(f"attention/{name}/kernel" for name in ("query", "key", "value"))},
        probabilities=1,
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def _defaults(layer: type) -> dict[str, Any]:
    """The defaults of all named arguments, those of the base classes included."""
    defaults: dict[str, Any] = {}
    for cls in layer.__mro__[: layer.__mro__.index(ConfiguredLayer)]:
        for parameter in inspect.signature(cls.__init__).parameters.values():
            if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.name != "self":
                defaults.setdefault(parameter.name, parameter.default)
    return defaults


def _as_json(config: dict) -> str:
    return json.dumps(config, sort_keys=True)


def _assert_same(outputs: list, others: list, tolerance: float = 1e-6) -> None:
    for output, other in zip(outputs, others, strict=True):
        output, other = map(keras.ops.convert_to_numpy, (output, other))
        np.testing.assert_allclose(output, other, rtol=0, atol=tolerance)


def test_every_public_layer_is_in_the_table():
    public = {value for value in vars(layers).values() if isinstance(value, type)}
    assert public <= {case.layer for case in CASES.values()}


def test_the_config_holds_every_argument_and_the_table_changes_each(case):
    config, defaults = case.make().get_config(), _defaults(case.layer)
    assert set(defaults) == set(case.layer.arguments) == set(case.arguments)
    for name, default in defaults.items():
        assert config[name] == case.arguments[name] != default


@pytest.mark.parametrize("way", ["get_config", "JSON", "keras.saving"])
def test_a_rebuilt_layer_has_the_same_config_and_computes_the_same(case, way):
    layer = case.build(name="some_name")
    if way == "get_config":
        rebuilt = case.layer.from_config(layer.get_config())
    elif way == "JSON":
        rebuilt = case.layer.from_config(json.loads(json.dumps(layer.get_config())))
    else:
        serialized = json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
        rebuilt = keras.saving.deserialize_keras_object(serialized)
        assert serialized["registered_name"] == f"kerasvit>{case.layer.__name__}"
    assert type(rebuilt) is case.layer
    assert _as_json(rebuilt.get_config()) == _as_json(layer.get_config())
    if not rebuilt.built:
        rebuilt.build(*((2, *shape) for shape in case.shapes))
    rebuilt.set_weights(layer.get_weights())
    _assert_same(case.run(rebuilt), case.run(layer))


def test_build_alone_makes_the_weights_and_names_their_paths(case):
    layer = case.build(name="some_name")
    assert {weight.path for weight in layer.weights} == _under("some_name", case.paths)
    before = [id(weight) for weight in layer.weights]
    case.run(layer)
    assert [id(weight) for weight in layer.weights] == before


@pytest.mark.parametrize("batch", [1, 2])
def test_an_eager_call_gives_the_promised_shapes(case, batch):
    outputs = case.run(case.build(), batch)
    assert [tuple(output.shape) for output in outputs] == [
        (batch, *shape) for shape in case.outputs
    ]


@pytest.mark.backend
def test_a_functional_model_of_unknown_batch_size_equals_the_eager_call(case):
    layer = case.build()
    inputs = [keras.Input(shape) for shape in case.shapes]
    outputs = keras.tree.flatten(layer(*inputs, **case.call_arguments))
    assert [output.shape for output in outputs] == [(None, *shape) for shape in case.outputs]
    model = keras.Model(inputs, outputs)
    _assert_same(keras.tree.flatten(model(case.inputs())), case.run(layer))


def test_compute_output_shape_tells_the_real_shape(case):
    if case.layer.compute_output_shape is keras.layers.Layer.compute_output_shape:
        assert len(case.outputs) == 2, "a layer of one output says its shape itself"
        return
    assert case.make().compute_output_shape((None, *case.shapes[0])) == (None, *case.outputs[0])


@pytest.mark.backend
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_mixed_policy_computes_in_half_precision_and_keeps_weights_whole(case, policy):
    layer = case.build(dtype=policy)
    outputs = case.run(layer)
    dtype = policy.removeprefix("mixed_")
    assert all(keras.backend.standardize_dtype(output.dtype) == dtype for output in outputs)
    assert all(weight.dtype == "float32" for weight in layer.weights)
    outputs = [keras.ops.convert_to_numpy(keras.ops.cast(out, "float32")) for out in outputs]
    for output, exact in zip(outputs, case.run(case.build()), strict=True):
        exact = keras.ops.convert_to_numpy(exact)
        assert np.abs(output - exact).max() <= 0.05 * np.abs(exact).max()
    if case.probabilities is not None:
        np.testing.assert_allclose(outputs[case.probabilities].sum(axis=-1), 1, atol=4e-3)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("SelfAttention", {"grid": (5, 3)}),
        ("EncoderBlock", {"grid": (5, 3), "score_rows": 2}),
        ("CrossCovarianceBlock", {"grid": (4, 4)}),
    ],
)
def test_a_grid_is_numbers_in_a_functional_model_too(tools, name, arguments):
    layer = CASES[name].build(batch=3)
    tokens = tools.random_tokens(3, 16, 12)
    inputs = keras.Input((16, 12))
    model = keras.Model(inputs, layer(inputs, **arguments))
    expected, given = layer(tokens, **arguments), model(tokens)
    for one, other, symbol in zip(given, expected, model.outputs, strict=True):
        assert symbol.shape == (None, *one.shape[1:])
        np.testing.assert_allclose(tools.to_numpy(one), tools.to_numpy(other), rtol=1e-5, atol=1e-6)
