"""Masks that lie in the same sub-folders as their photographs."""

import pathlib

from kerasvit.evaluation.files import mask_of


def test_a_mask_lies_below_the_same_sub_folders_as_far_as_there_are(tmp_path):
    masks = tmp_path / "masks"
    for name in ("cat/00.png", "dog/00.png", "00.png", "01.png"):
        (masks / name).parent.mkdir(parents=True, exist_ok=True)
        (masks / name).touch()
    for root in (pathlib.Path("photos"), tmp_path / "photos", pathlib.Path("..", "photos")):
        assert mask_of(root / "cat" / "00.jpg", masks) == masks / "cat" / "00.png"
        assert mask_of(root / "dog" / "00.jpg", masks) == masks / "dog" / "00.png"
        assert mask_of(root / "bird" / "00.jpg", masks) == masks / "00.png"
        assert mask_of(root / "cat" / "01.jpg", masks) == masks / "01.png"
        assert mask_of(root / "cat" / "02.jpg", masks) == masks / "02.png"
