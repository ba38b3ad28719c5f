"""The numbered patches of a model's input: row by row, as the model sees them, all tokens named."""

import types

import numpy as np
import pytest
from PIL import Image

from kerasvit.errors import InputError
from kerasvit.images import Preprocessing
from kerasvit.layout import TokenLayout
from kerasvit.models.family import FamilyFacts
from kerasvit.render import patch_sheet
from kerasvit.render.drawing import Photo, Words
from kerasvit.render.patches import cut_patches, patch_drawing, token_names

ROWS, COLUMNS, HEIGHT, WIDTH = 3, 5, 4, 8
PREPROCESSING = Preprocessing((12, 40), mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.25))


class Model(FamilyFacts):
    """Facts of a distilled model with registers, or of a CaiT."""

    patch_size = (HEIGHT, WIDTH)
    record = types.MappingProxyType({"preprocessing": PREPROCESSING})

    def __init__(self, prefix=("class", "distillation", "register_0"), late=None):
        self.prefix, self.late = prefix, late

    @property
    def num_class_layers(self):
        return 0 if self.late is None else 2

    def token_layout(self, shape, stage="sa"):
        prefix = self.prefix if stage == "sa" else self.late
        grid = shape[0] // HEIGHT, shape[1] // WIDTH
        return TokenLayout(prefix, grid, self.patch_size)


def numbered(rows=ROWS, columns=COLUMNS):
    """Pixels in which the red of each patch is its number, and an oblong pattern is inside."""
    numbers = np.arange(rows * columns, dtype=np.uint8).reshape(rows, columns)
    image = np.zeros((rows * HEIGHT, columns * WIDTH, 3), np.uint8)
    image[..., 0] = 10 * numbers.repeat(HEIGHT, axis=0).repeat(WIDTH, axis=1)
    image[..., 1] = 200 * (np.arange(columns * WIDTH) % WIDTH < 2)
    return image


def prepared(image):
    return PREPROCESSING.exact(image, (HEIGHT, WIDTH)).pixels


def test_patches_are_cut_row_by_row():
    image = numbered()
    patches = cut_patches(image, TokenLayout((), (ROWS, COLUMNS), (HEIGHT, WIDTH)))
    assert patches.shape == (15, HEIGHT, WIDTH, 3)
    for number, patch in enumerate(patches):
        row, column = divmod(number, COLUMNS)
        top, left = row * HEIGHT, column * WIDTH
        np.testing.assert_array_equal(patch, image[top : top + HEIGHT, left : left + WIDTH])


def test_each_number_stands_above_its_patch_in_the_picture():
    drawing = patch_drawing(Model(), prepared(numbered()))
    photos = [mark for mark in drawing.marks if isinstance(mark, Photo)]
    words = {mark.text: mark.position for mark in drawing.marks if isinstance(mark, Words)}
    assert len(photos) == ROWS * COLUMNS
    for number, photo in enumerate(photos):
        # De-normalised: the colours of the picture, not of the model's numbers.
        assert (photo.image[..., 0] == 10 * number).all()
        left, top, right, bottom = photo.box
        assert (right - left) / (bottom - top) == pytest.approx(WIDTH / HEIGHT)
        x, baseline = words[str(number)]
        assert x == left
        assert top - 24 < baseline < top
    tops = [photo.box[1] for photo in photos]
    lefts = [photo.box[0] for photo in photos]
    assert tops == sorted(tops)
    assert len(set(tops)) == ROWS
    assert lefts[:COLUMNS] == sorted(lefts[:COLUMNS]) == lefts[COLUMNS : 2 * COLUMNS]


def test_the_pixels_of_the_sheet_lie_as_in_the_picture():
    image = numbered()
    page = np.asarray(patch_sheet(Model(), prepared(image)))
    boxes = [
        mark.box
        for mark in patch_drawing(Model(), prepared(image)).marks
        if isinstance(mark, Photo)
    ]
    for number, (left, top, right, bottom) in enumerate(boxes):
        inner = page[round(top) + 3 : round(bottom) - 3, round(left) : round(right)]
        assert np.median(inner[..., 0]) == pytest.approx(10 * number, abs=1)
        # The pattern's first quarter is at the left: nothing is transposed.
        quarter = inner.shape[1] // 4
        assert inner[:, 3 : quarter - 3, 1].min() > 180
        assert inner[:, quarter + 8 : -8, 1].max() < 20


def test_small_patches_have_a_ruler():
    drawing = patch_drawing(Model(), prepared(numbered(20, 90)[: 20 * HEIGHT]))
    words = {mark.text: mark.position for mark in drawing.marks if isinstance(mark, Words)}
    photos = [mark for mark in drawing.marks if isinstance(mark, Photo)]
    assert len(photos) == 1800
    firsts = [int(text) for text in words if text.isdigit()]
    assert len(firsts) >= 5
    for number in firsts:
        assert number % 90 == 0
        assert words[str(number)][1] == pytest.approx(photos[number].box[3], abs=14)
    shifts = [text for text in words if text.startswith("+")]
    assert shifts
    for text in shifts:
        assert words[text][0] == pytest.approx(photos[int(text)].box[0])


def test_all_tokens_are_named():
    model = Model()
    layout = model.token_layout((12, 40))
    assert token_names(model, layout) == [
        "token 0: class",
        "token 1: distillation",
        "token 2: register 0",
    ]
    texts = [
        m.text for m in patch_drawing(model, prepared(numbered())).marks if isinstance(m, Words)
    ]
    assert "token 2: register 0" in texts
    assert any("15 patches of 4x8 pixels" in text and "token 3 + n" in text for text in texts)
    cait = Model((), ("class",))
    assert token_names(cait, cait.token_layout((12, 40))) == ["class, joins in class attention"]


@pytest.mark.parametrize("shape", [(4, 8), (4, 400), (400, 8), (200, 200)])
def test_grids_of_any_shape_fit(shape):
    pixels = np.zeros((*shape, 3), np.float32)
    page = patch_sheet(Model(()), pixels, title="a title " * 40)
    assert isinstance(page, Image.Image)
    assert page.height < 2 * page.width
    margin = np.asarray(page)[:, -40:]
    assert (margin == 255).all()


@pytest.mark.parametrize("shape", [(13, 40, 3), (12, 41, 3), (2, 12, 40, 3), (0, 40, 3)])
def test_what_is_no_input_of_the_model_is_refused(shape):
    with pytest.raises(InputError, match="multiples of 4 and 8"):
        patch_sheet(Model(), np.zeros(shape, np.float32))
