"""A compiled step runs blocks that are alike as a loop over one: the same values, written once."""

import functools

import families
import keras
import numpy as np
import pytest
from breadth import spread
from keras.ops import convert_to_numpy as to_numpy

from kerasvit import private_names
from kerasvit.layers.blocks import loop
from kerasvit.models import CaiT, VisionTransformer
from kerasvit.training.finetuning.lora import enable_lora
from kerasvit.training.run.rematerialisation import rematerialise

pytestmark = pytest.mark.backend

on_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="the other backends write their blocks out"
)
IMAGES, LABELS = families.images_of(), np.arange(4)
DROPPING = {"drop_path_rate": 0.3, "dropout_rate": 0.1, "attention_dropout_rate": 0.1}
SMALL = {**families.TINY, "num_layers": 4}
CASES = {
    **{kind: families.KINDS[kind] for kind in ("DINOv3", "mixed", "grouped", "BEiT", "XCiT")},
    "CaiT": (CaiT, {**SMALL, **DROPPING}),
    "ViT": (VisionTransformer, {**SMALL, **DROPPING}),
}


@pytest.fixture
def loops(monkeypatch):
    """How many blocks each loop that was traced stands for."""
    lengths: list[int] = []
    inner = loop.loop

    def counted(blocks, *arguments):
        lengths.append(len(blocks))
        return inner(blocks, *arguments)

    monkeypatch.setattr(loop, "loop", counted)
    return lengths


def _make(name, **others):
    family, arguments = CASES[name]
    keras.utils.set_random_seed(3)
    return family(**{**arguments, "num_layers": 4, **others}, name="model")


def _values_after(model, evaluates=False):
    """Train a little, and return every value that a step may change."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss)
    model.fit(IMAGES, LABELS, batch_size=2, epochs=2, shuffle=False, verbose=0)
    found = [(one.path, np.asarray(to_numpy(one), "float32")) for one in model.variables]
    if evaluates:
        evaluation = model.evaluate(IMAGES, LABELS, batch_size=2, verbose=0)
        found.append(("evaluation", np.array(evaluation)))
    return found


def _check_same(found, expected, tolerance=2e-4):
    for (path, values), (_, others) in zip(found, expected, strict=True):
        limit = tolerance * max(1.0, np.abs(others).max())
        np.testing.assert_allclose(values, others, rtol=0, atol=limit, err_msg=path)


def _check_both(monkeypatch, make, tolerance=2e-4, evaluates=False):
    looped = _values_after(make(), evaluates)
    written_out = make()
    monkeypatch.setattr(type(written_out), "loops_blocks", False)
    _check_same(looped, _values_after(written_out, evaluates), tolerance)


@on_jax
# A loop, none, and one that leaves the first block out, among images and class tokens.
@pytest.mark.parametrize("name", spread(CASES, ["CaiT", "mixed", "ViT"]))
def test_a_step_is_that_of_blocks_written_out(monkeypatch, loops, name):
    _check_both(monkeypatch, lambda: _make(name), evaluates=name == "CaiT")
    # Rates that grow from 0 leave the first block without random numbers; grouped heads differ at
    # the ends, learned angles in every block.
    in_loop = {"mixed": 0, "grouped": 0, "ViT": 3}.get(name, 4)
    assert set(loops) == ({in_loop} if in_loop else set())


@on_jax
@pytest.mark.parametrize("precision", spread(["mixed_bfloat16", "bfloat16"], ["mixed_bfloat16"]))
def test_lower_precision_reads_the_same_weights(monkeypatch, loops, precision):
    def make():
        return _make("CaiT", dtype=precision, drop_path_rate=0.0)

    _check_both(monkeypatch, make, tolerance=3e-2)
    assert set(loops) == {4}


@on_jax
def test_blocks_that_learn_and_blocks_that_do_not_are_loops_of_their_own(monkeypatch, loops):
    def make():
        model = _make("CaiT", num_layers=6)
        for block in model.blocks[:3]:
            block.trainable = False
        return model

    _check_both(monkeypatch, make)
    assert set(loops) == {3}


@on_jax
def test_matrices_of_low_rank_are_weights_of_the_loop(monkeypatch, loops):
    def make():
        model = _make("ViT", drop_path_rate=0.0)
        enable_lora(model, rank=2)
        return model

    _check_both(monkeypatch, make)
    assert set(loops) == {4}


@on_jax
def test_a_block_that_is_computed_again_for_the_gradient_is_so_in_the_loop(monkeypatch, loops):
    def make():
        model = _make("CaiT", dropout_rate=0.0, attention_dropout_rate=0.0, drop_path_rate=0.0)
        rematerialise(model)
        return model

    _check_both(monkeypatch, make)
    assert set(loops) == {4}


@on_jax
def test_attended_values_are_kept_for_the_gradient_and_scores_are_not():
    """Among tokens of heads whose elements are fewer, as in all models but the smallest ones."""
    import jax
    from jax import numpy as jnp

    def products(tokens, kernel):
        scores = jnp.einsum("bhnd,bhmd->bhnm", tokens, tokens)
        return jnp.einsum("bhnm,bhmd->bhnd", scores, tokens) @ kernel

    jaxpr = jax.make_jaxpr(products)(jnp.ones((2, 3, 10, 4)), jnp.ones((4, 6)))
    kept = [
        loop._is_kept(step.primitive, *(one.aval for one in step.invars), **step.params)
        for step in jaxpr.jaxpr.eqns
        if step.primitive.name == "dot_general"
    ]
    assert kept == [False, True, True]


@on_jax
def test_a_block_whose_call_was_replaced_is_called_so(loops):
    model = _make("CaiT", num_layers=7)
    block, calls = model.blocks[3], []

    def call(*arguments, inner=block.call, **named):
        calls.append(1)
        return inner(*arguments, **named)

    block.call = call
    _values_after(model)
    assert calls
    assert set(loops) == {3}


@on_jax
def test_scores_taps_and_steps_run_eagerly_need_the_blocks_one_by_one(loops):
    model = _make("CaiT")
    model(IMAGES)
    model.call_with_taps(IMAGES, {"sa_ffn_block_01_att": None})
    model.predict(IMAGES, verbose=0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, run_eagerly=True)
    model.fit(IMAGES, LABELS, verbose=0)
    derived = type("Derived", (CaiT,), {"scores_in_steps": True})(**CASES["CaiT"][1])
    derived.compile("sgd", loss)
    derived.fit(IMAGES, LABELS, verbose=0)
    assert not loops


@on_jax
def test_without_the_name_that_reads_weights_uncast_blocks_are_written_out(monkeypatch, loops):
    monkeypatch.setattr(private_names, "_autocast_scope", lambda: None)
    private_names.warn.cache_clear()
    with pytest.warns(UserWarning, match="first step of `fit` takes longer"):
        _values_after(_make("CaiT"))
    private_names.warn.cache_clear()
    assert not loops


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow",
    reason="TensorFlow's loop takes no states of random numbers, and is not used",
)
def test_the_loop_is_the_same_run_eagerly():
    model = _make("CaiT")
    tokens = np.random.default_rng(0).normal(size=(2, 6, 32)).astype("float32")
    expected = tokens
    for block in model.blocks:
        expected, _ = block(expected, score_rows=0)
    found = loop.loop(model.blocks, keras.ops.convert_to_tensor(tokens), {}, False)
    np.testing.assert_allclose(to_numpy(found), to_numpy(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Keras on JAX makes the optimiser's variables before, PyTorch traces no step",
)
def test_a_step_is_traced_once(monkeypatch):
    """TensorFlow traced it twice where the first trace made the optimiser's variables."""
    traces = []
    inner = VisionTransformer.compute_loss

    def counted(model, *arguments, **named):
        traces.append(1)
        return inner(model, *arguments, **named)

    model = _make("DINOv3", num_layers=1)
    monkeypatch.setattr(model, "compute_loss", functools.partial(counted, model))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(0.1), loss)
    model.fit(IMAGES, LABELS, batch_size=2, epochs=2, verbose=0)
    assert len(traces) == 1
