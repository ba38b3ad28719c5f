"""The saliency methods, one row each: what is known of a method is said here and nowhere else."""

from kerasvit.errors import UsageError
from kerasvit.saliency.figures.appearance import APPEARANCES, Appearance
from kerasvit.saliency.method import Method, Unfit
from kerasvit.saliency.methods.attention import (
    explain_attention,
    explain_class_attention_rollout,
    explain_rollout,
)
from kerasvit.saliency.methods.discovery import (
    LostOptions,
    TokencutOptions,
    explain_lost,
    explain_tokencut,
)
from kerasvit.saliency.methods.headwise import HeadwiseOptions, explain_headwise
from kerasvit.saliency.methods.hiding import (
    OcclusionOptions,
    RiseOptions,
    explain_occlusion,
    explain_rise,
)
from kerasvit.saliency.methods.integrated import (
    IntegratedOptions,
    SmoothOptions,
    explain_integrated_gradients,
    explain_smooth_gradients,
)
from kerasvit.saliency.methods.legrad import LegradOptions, explain_legrad
from kerasvit.saliency.methods.one_block import (
    OneBlockOptions,
    explain_grad_attention,
    explain_grad_cam,
)
from kerasvit.saliency.methods.relevance import RelevanceOptions, explain_relevance
from kerasvit.saliency.methods.transitions import RolloutRule

_POOLED = Unfit(
    "pooling",
    lambda value: value == "attention",
    "follows a class token through the blocks, which attention pooling does not read",
)
_BRANCHED = Unfit(
    "block_type",
    lambda value: value == "branched",
    "reads the tokens of one attention, and these blocks have several side by side",
)
_DIFFERENTIAL = Unfit(
    "attention_type",
    lambda value: value == "differential",
    "multiplies rows of probabilities, which differential attention has not",
)
_SEVERAL = Unfit(
    "head_blocks",
    lambda value: value is not None and value > 1,
    "reads out one block at a time, and this head reads several together",
)

_ROWS = (
    Method(
        "attention",
        explain_attention,
        "what the class token attends to in one block",
        takes=("layer", "heads", "query", "stage"),
    ),
    Method(
        "rollout",
        explain_rollout,
        "attention through all blocks, half of each the residual",
        takes=("heads", "query", "stage"),
        options=RolloutRule,
        unfit=(_POOLED, _DIFFERENTIAL),
    ),
    Method(
        "class_attention_rollout",
        explain_class_attention_rollout,
        "rollout through both stages of CaiT",
        takes=("heads", "query", "stage"),
        options=RolloutRule,
        unfit=(_POOLED, _DIFFERENTIAL),
    ),
    Method(
        "grad_attention",
        explain_grad_attention,
        "one block's attention, each head weighed by its gradient",
        takes=("target", "layer", "query", "stage"),
        options=OneBlockOptions,
        differentiates=True,
    ),
    Method(
        "relevance",
        explain_relevance,
        "attention times its gradient, carried back through all blocks",
        takes=("target", "query", "stage"),
        options=RelevanceOptions,
        unfit=(_POOLED,),
        differentiates=True,
    ),
    Method(
        "legrad",
        explain_legrad,
        "gradient of the attention, each block read out as if it were the last",
        takes=("target", "stage"),
        options=LegradOptions,
        unfit=(_POOLED, _SEVERAL),
        differentiates=True,
    ),
    Method(
        "headwise",
        explain_headwise,
        "attention carried back, each head weighed by its importance, times gradients",
        takes=("target", "query", "stage"),
        options=HeadwiseOptions,
        unfit=(_POOLED,),
        differentiates=True,
    ),
    Method(
        "gradcam",
        explain_grad_cam,
        "the tokens that one block reads, weighed by their gradient",
        takes=("target", "layer", "stage"),
        options=OneBlockOptions,
        unfit=(_BRANCHED,),
        differentiates=True,
    ),
    Method(
        "integrated_gradients",
        explain_integrated_gradients,
        "what each pixel adds on the way from a picture without content; signed",
        takes=("target",),
        options=IntegratedOptions,
        normalisation="max",
        differentiates=True,
    ),
    Method(
        "smoothgrad",
        explain_smooth_gradients,
        "the mean gradient over noisy copies of the picture",
        takes=("target",),
        options=SmoothOptions,
        differentiates=True,
    ),
    Method(
        "occlusion",
        explain_occlusion,
        "by how much the class falls when a patch is hidden; signed",
        takes=("target",),
        options=OcclusionOptions,
        normalisation="max",
    ),
    Method(
        "rise",
        explain_rise,
        "how probable the class is while a patch is visible, over random masks",
        takes=("target",),
        options=RiseOptions,
    ),
    Method(
        "tokencut",
        explain_tokencut,
        "mask of the main object by a normalised cut of the last block's keys",
        options=TokencutOptions,
        interpolation="nearest",
        unfit=(_BRANCHED,),
    ),
    Method(
        "lost",
        explain_lost,
        "mask of the main object, grown from the patch that resembles the fewest others",
        options=LostOptions,
        interpolation="nearest",
        unfit=(_BRANCHED,),
    ),
)

METHODS: dict[str, Method] = {row.name: row for row in _ROWS}
APPEARANCES.update({row.name: Appearance(row.normalisation, row.interpolation) for row in _ROWS})


def find_method(name: str) -> Method:
    """Return the row of a method.

    Raises:
        UsageError: if there is none of this name.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise UsageError(
            f"There is no such method. Received: method={name!r}. "
            f"Choose one of {', '.join(map(repr, METHODS))}."
        )
    return METHODS[name]


def with_use_for(argument: str) -> tuple[str, ...]:
    """Return the names of the methods that have a use for one of the shared arguments.

    Args:
        argument: see `Method.takes`.
    """
    return tuple(name for name, row in METHODS.items() if argument in row.takes)
