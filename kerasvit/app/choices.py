"""What there is to choose of a model: blocks, heads, classes, methods, who asks."""

import dataclasses
from typing import Any

from kerasvit.app.asked import PATCH
from kerasvit.layout import BlockKey
from kerasvit.look import LoadedModel
from kerasvit.render.labels import block_title
from kerasvit.saliency import METHODS
from kerasvit.saliency.request import stages_of

_ASKING = {"class": "the class token", "distillation": "the distillation token"}


@dataclasses.dataclass(frozen=True)
class Choices:
    """What the page offers for a model.

    Args:
        blocks: keys in order of depth.
        usual: position of the block that is shown where none is chosen.
        num_heads: of each block.
        classes: names; none of a model without a head.
        methods: those that mean something for the model.
        queries: `(label, value)` of those who may ask.
        side: length of the shorter side that the model sees, as trained.
        step: of that length: the patch's.
    """

    blocks: tuple[str, ...]
    usual: int
    num_heads: int
    classes: tuple[str, ...]
    methods: tuple[str, ...]
    queries: tuple[tuple[str, str], ...]
    side: int
    step: int

    @classmethod
    def of(cls, loaded: LoadedModel) -> "Choices":
        """Return the choices of a model."""
        model = loaded.model
        # XCiT's attention among channels makes no map.
        stages = tuple(stage for stage in stages_of(model) if stage != "xca")
        blocks = [
            block for block in model.all_blocks() if BlockKey.parse(block.name).stage in stages
        ]
        keys = tuple(str(BlockKey.parse(block.name)) for block in blocks)
        return cls(
            keys,
            # CaiT's first block of class attention, which the paper draws; a ViT's last block.
            len(keys) - len(model.class_blocks) if "ca" in stages else len(keys) - 1,
            model.num_heads,
            tuple(model.problem.names) if model.num_classes else (),
            _methods(model, stages),
            _queries(model),
            min(loaded.preprocessing.image_size),
            max(model.patch_size),
        )

    def block_at(self, position: int) -> str | None:
        """Return the key of a block, or None for the usual one."""
        return None if position == self.usual else self.blocks[position]

    def asking_patches(self, position: int) -> int:
        """Return the position of a block in which patches ask: the same, or the last such one."""
        places = [at for at, key in enumerate(self.blocks) if BlockKey.parse(key).stage == "sa"]
        return min(position, max(places, default=position))

    def block_titles(self) -> list[str]:
        """Return what the blocks are called: `"self-attention 3"`."""
        return [block_title(key) for key in self.blocks]


def _methods(model: Any, stages: tuple[str, ...]) -> tuple[str, ...]:
    fit = [name for name, row in METHODS.items() if row.reason_against(model) is None]
    # It goes through both stages.
    return tuple(name for name in fit if "ca" in stages or name != "class_attention_rollout")


def _queries(model: Any) -> tuple[tuple[str, str], ...]:
    prefix = model.token_layout().prefix
    named = [(label, name) for name, label in _ASKING.items() if name in prefix]
    if not named and model.has_class_query:
        named = [(_ASKING["class"], "class")]
    if model.attends_to_channels:  # the class token alone asks
        return tuple(named)
    return (*named, ("all patches", "patches"), ("one patch: click on the picture", PATCH))
