"""How arrays become others: shapes told without them, what is undone, parts that fit."""

import numpy as np
import pytest

from kerasvit.conversion.names import eva_rules, layouts, transforms, xcit_layout
from kerasvit.conversion.names.foreign import augreg, dinov3, shared_rules

WIDTH, UNITS = 4, 10
SEPARATE_BIASES = eva_rules.separate_projection_biases(WIDTH)[0].kind
BIASES = (WIDTH,), (2,), (2,)
# By name: the kind, shapes of its sources, the shape of its target.
KINDS = {
    "same": (transforms.SAME, [(3, 5)], (3, 5)),
    "linear": (transforms.LINEAR, [(3, 5)], (5, 3)),
    "convolution": (transforms.CONV, [(7, 3, 2, 5)], (2, 5, 3, 7)),
    "depthwise": (transforms.DEPTHWISE, [(7, 1, 2, 5)], (2, 5, 7, 1)),
    "joined": (transforms.joined(3), [(2, 5)] * 3, (6, 5)),
    "one leading": (shared_rules.ONE_LEADING, [(3, 5)], (1, 3, 5)),
    "two leading": (shared_rules.TWO_LEADING, [(5,)], (1, 1, 5)),
    "transposed": (shared_rules._TRANSPOSED, [(3, 5)], (5, 3)),
    "pointwise": (xcit_layout._POINTWISE, [(7, 3, 1, 1)], (3, 7)),
    "gate": (layouts._CONCATENATED, [(6, WIDTH)] * 2, (WIDTH, 12)),
    "gate's biases": (layouts._CONCATENATED_BIAS, [(6,)] * 2, (12,)),
    "grouped": (eva_rules._JOINT_KERNEL, [(4, 4), (2, 4), (2, 4)], (4, 8)),
    "grouped biases": (SEPARATE_BIASES, BIASES, (8,)),
    "biases that stay": (eva_rules.separate_projection_biases()[0].kind, BIASES, (8,)),
    "MLP's part": (layouts._IN_MLP, [(UNITS + 3 * WIDTH, WIDTH)], (WIDTH, UNITS)),
    "attention's part": (layouts._IN_QKV, [(UNITS + 3 * WIDTH, WIDTH)], (WIDTH, 3 * WIDTH)),
    "MLP's biases": (layouts._IN_MLP_BIAS, [(UNITS + 3 * WIDTH,), (WIDTH,)], (UNITS,)),
    "attention's biases": (layouts._IN_QKV_BIAS, [(UNITS + 3 * WIDTH,), (WIDTH,)], (3 * WIDTH,)),
    "attention's output": (layouts._OUT_ATTENTION, [(WIDTH, WIDTH + UNITS)], (WIDTH, WIDTH)),
    "MLP's output": (layouts._OUT_MLP, [(WIDTH, WIDTH + UNITS)], (UNITS, WIDTH)),
    "class token": (layouts._CLASS_WITH_POSITION, [(1, 1, 6), (1, 9, 6)], (1, 1, 6)),
    "patches": (layouts._PATCH_POSITIONS, [(1, 9, 6)], (1, 8, 6)),
    "heads": (augreg._HEADS_IN, [(6, 2, 3)] * 3, (18, 6)),
    "heads' biases": (augreg._HEADS_BIAS, [(2, 3)] * 3, (18,)),
    "heads' output": (augreg._HEADS_OUT, [(2, 3, 6)], (6, 6)),
    "queries": (dinov3._third(0, False), [(12,)], (4,)),
    "values": (dinov3._third(2, True), [(12,), (12,)], (4,)),
    "first third": (transforms.thirds(0, 1), [(6, 5)], (2, 5)),
    "other thirds": (transforms.thirds(1, 3, transforms.LINEAR), [(6, 5)], (5, 4)),
    "zeros of rows": (shared_rules._ZEROS_OF_ROWS, [(3, 5)], (3,)),
    "zeros of columns": (shared_rules._ZEROS_OF_COLUMNS, [(3, 5)], (5,)),
}


def _arrays(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


@pytest.mark.parametrize("name", KINDS)
def test_the_shape_is_told_without_the_array(name):
    kind, sources, target = KINDS[name]
    arrays = _arrays(sources)
    if name in ("queries", "values"):
        arrays[0][4:8] = 0
    assert kind.shape(*sources) == target
    assert kind.forward(*arrays).shape == target


# Those of which a part is lost: another rule's, or zeros that are made.
PARTS = {
    ("MLP's part", "attention's part"),
    ("MLP's biases", "attention's biases"),
    ("attention's output", "MLP's output"),
    ("class token", "patches"),
    ("queries", "values"),
    ("first third", "other thirds"),
}
ALONE = [
    name
    for name, (kind, _, _) in KINDS.items()
    if kind.backward is not None and not any(name in pair for pair in PARTS)
]


@pytest.mark.parametrize("name", ALONE)
def test_what_can_be_undone_gives_the_sources_again(name):
    kind, sources, _ = KINDS[name]
    arrays = _arrays(sources)
    undone = kind.backward(kind.forward(*arrays))
    undone = undone if isinstance(undone, tuple) else (undone,)
    for one, array in zip(undone, arrays, strict=True):
        np.testing.assert_array_equal(one, array)


@pytest.mark.parametrize(
    "pair", sorted(PARTS - {("class token", "patches"), ("queries", "values")})
)
def test_parts_of_one_source_fit_together(pair):
    """What two rules read of it follows each other along the axis that they say."""
    kinds = [KINDS[name][0] for name in pair]
    arrays = _arrays(KINDS[pair[0]][1])
    undone = [kind.backward(kind.forward(*arrays)) for kind in kinds]
    undone = [one[0] if isinstance(one, tuple) else one for one in undone]
    assert kinds[0].axis == kinds[1].axis
    np.testing.assert_array_equal(np.concatenate(undone, axis=kinds[0].axis), arrays[0])


def test_a_class_token_that_has_its_position_in_it():
    (token, positions) = _arrays([(1, 1, 6), (1, 9, 6)])
    joint = layouts._CLASS_WITH_POSITION.forward(token, positions)
    np.testing.assert_array_equal(joint, token + positions[:, :1])
    back, zeros = layouts._CLASS_WITH_POSITION.backward(joint)
    patches = layouts._PATCH_POSITIONS.forward(positions)
    np.testing.assert_array_equal(patches, positions[:, 1:])
    again = np.concatenate([zeros, layouts._PATCH_POSITIONS.backward(patches)], axis=1)
    np.testing.assert_array_equal(layouts._CLASS_WITH_POSITION.forward(back, again), joint)
    np.testing.assert_array_equal(layouts._PATCH_POSITIONS.forward(again), patches)
    assert layouts._CLASS_WITH_POSITION.axis == layouts._PATCH_POSITIONS.axis == 1


def test_kernels_with_an_axis_of_heads():
    """The same products as of JAX's einsum over heads."""
    tokens, *kernels, output = _arrays([(5, 6), *[(6, 2, 3)] * 3, (2, 3, 6)])
    joint = tokens @ augreg._HEADS_IN.forward(*kernels).T
    for part, kernel in zip(np.split(joint, 3, axis=1), kernels, strict=True):
        expected = np.einsum("nd,dhk->nhk", tokens, kernel).reshape(5, 6)
        np.testing.assert_allclose(part, expected, atol=1e-5)
    heads = tokens.reshape(5, 2, 3)
    expected = np.einsum("nhk,hkd->nd", heads, output)
    result = tokens @ augreg._HEADS_OUT.forward(output).T
    np.testing.assert_allclose(result, expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"three axes. Received: \(6, 6\)"):
        augreg._HEADS_IN.shape((6, 6))


@pytest.mark.parametrize("is_masked", [False, True])
def test_biases_of_queries_and_values(is_masked):
    """There and back; keys have none, by zeros or by a mask."""
    joint, mask = np.arange(1.0, 13.0, dtype="float32"), np.ones(12, "float32")
    mask[4:8] = 0
    if not is_masked:
        joint *= mask
    sources = (joint, mask) if is_masked else (joint,)
    kinds = [dinov3._third(index, is_masked) for index in (0, 2)]
    parts = [kind.forward(*sources) for kind in kinds]
    assert [part.tolist() for part in parts] == [[1, 2, 3, 4], [9, 10, 11, 12]]
    undone = [kind.backward(part) for kind, part in zip(kinds, parts, strict=True)]
    if is_masked:
        for one, source in zip(zip(*undone, strict=True), (joint * mask, mask), strict=True):
            np.testing.assert_array_equal(np.concatenate(one), source)
    else:
        np.testing.assert_array_equal(np.concatenate(undone), joint)
    with pytest.raises(ValueError, match="The keys of a DINOv3 have no biases"):
        kinds[0].forward(np.ones(12), *(np.ones(12),) * is_masked)
    for shapes in ([(11,)], [(12,), (9,)]):
        with pytest.raises(ValueError, match="Biases of queries"):
            kinds[0].shape(*shapes)


@pytest.mark.parametrize(
    ("kind", "shapes", "error"),
    [
        (transforms.joined(2), [(2, 3), (2, 4)], "must have one shape"),
        (transforms.thirds(0, 1), [(7, 3)], "of one size. Received: 7"),
    ],
)
def test_shapes_that_cannot_be_right(kind, shapes, error):
    with pytest.raises(ValueError, match=error):
        kind.shape(*shapes)


@pytest.mark.parametrize(("width", "units", "keys"), [(4, 12, 4), (4, 8, 2), (4, 4, 0)])
def test_how_wide_keys_are(width, units, keys):
    assert eva_rules._key_width(width, units) == keys
    for wrong in (units + 1, width - 2):
        with pytest.raises(ValueError, match=f"{wrong} units can't be queries of {width}"):
            eva_rules._key_width(width, wrong)


def test_a_pointwise_kernel_has_one_pixel():
    assert xcit_layout._POINTWISE.shape((7, 3, 3, 3)) == ()
