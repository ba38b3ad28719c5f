"""A packed model is one that bfloat16 holds, in a file that is read as any other."""

import numpy as np

import kerasvit
from benchmarks.packing import compress, rounded


def test_a_packed_file_is_smaller_and_holds_the_nearest_numbers(tmp_path):
    model = kerasvit.create_model("vit_nano_patch4_32", num_classes=3)
    before = model.get_weights()
    model.save(tmp_path / "whole.keras")
    rounded(model)
    model.save(tmp_path / "rounded.keras")
    compress(tmp_path / "rounded.keras", tmp_path / "packed.keras")
    sizes = [(tmp_path / f"{name}.keras").stat().st_size for name in ("whole", "packed")]
    assert sizes[1] < 0.6 * sizes[0]
    loaded = kerasvit.from_pretrained(tmp_path / "packed.keras").get_weights()
    for own, other in zip(loaded, before, strict=True):
        np.testing.assert_allclose(own, other, rtol=2**-8)
        assert not (own.view(np.uint32) & 0xFFFF).any()
