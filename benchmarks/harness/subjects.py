"""The models that are measured: their names, arguments and floating-point operations."""

import dataclasses

CLASSES = 1000


@dataclasses.dataclass(frozen=True)
class Subject:
    """A model by timm's name, and the sizes that its operations are counted from.

    `timm` and `kerasvit` hold arguments that differ from those of the name. `mixes_channels`: XCiT,
    whose patches are mixed among channels and by two convolutions of 3x3.
    """

    name: str
    patch: int
    width: int
    layers: int
    heads: int
    class_layers: int = 0
    mixes_channels: bool = False
    size: int = 224
    timm: dict = dataclasses.field(default_factory=dict)
    kerasvit: dict = dataclasses.field(default_factory=dict)

    def timm_arguments(self, size: int) -> dict:
        return {"img_size": size, **self.timm}

    def kerasvit_arguments(self, size: int) -> dict:
        return {"image_shape": (size, size, 3), **self.kerasvit}

    def operations(self, size: int) -> float:
        """Count the multiplications and additions of the matrix products for one image."""
        patches, width = (size // self.patch) ** 2, self.width
        tokens = patches if self.class_layers else patches + 1
        block = 2 * tokens * width * 12 * width + self._mixing(tokens)
        embedding = self._stem(size) if self.mixes_channels else self._projection(patches)
        head = 2 * width * CLASSES
        return embedding + self.layers * block + self.class_layers * self._reading(patches) + head

    def _mixing(self, tokens):
        """Count what mixes the tokens of a block."""
        width, heads = self.width, self.heads
        if self.mixes_channels:
            return 4 * tokens * width**2 // heads + 36 * tokens * width
        talking = 4 * heads**2 * tokens**2 if self.class_layers else 0
        return 4 * tokens**2 * width + talking

    def _projection(self, patches):
        return 2 * patches * self.width * 3 * self.patch**2

    def _stem(self, size):
        """Count convolutions of 3x3 that halve the image, each with twice the channels."""
        count = self.patch.bit_length() - 1
        widths = [3, *(self.width >> step for step in reversed(range(count)))]
        return sum(
            18 * widths[step] * widths[step + 1] * (size >> (step + 1)) ** 2
            for step in range(count)
        )

    def _reading(self, patches):
        """Count a block of class attention: one query, keys and values of all tokens."""
        width, tokens = self.width, patches + 1
        return 2 * width**2 * (2 * tokens + 10) + 4 * tokens * width


_SUBJECTS = (
    Subject("cait_xxs24_224", patch=16, width=192, layers=24, heads=4, class_layers=2),
    Subject("vit_small_patch16_224", patch=16, width=384, layers=12, heads=6),
    Subject("vit_small_patch8_224", patch=8, width=384, layers=12, heads=6),
    Subject("vit_base_patch16_224", patch=16, width=768, layers=12, heads=12),
    Subject("vit_small_patch16_dinov3", patch=16, width=384, layers=12, heads=6),
    Subject(
        "xcit_nano_12_p16_224",
        patch=16,
        width=128,
        layers=12,
        heads=4,
        class_layers=2,
        mixes_channels=True,
    ),
)
# Two layers of a narrow ViT: shows in seconds that the benchmark runs, and nothing else.
QUICK = Subject(
    "vit_tiny_patch16_224",
    patch=16,
    width=48,
    layers=2,
    heads=3,
    size=64,
    timm={"embed_dim": 48, "depth": 2, "num_heads": 3},
    kerasvit={"hidden_dim": 48, "num_layers": 2, "num_heads": 3, "mlp_dim": 192},
)
SUBJECTS = {subject.name: subject for subject in (*_SUBJECTS, QUICK)}
NAMES = tuple(subject.name for subject in _SUBJECTS)
