"""What a saliency method is: one row of `kerasvit.saliency.methods.table`."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kerasvit.backend import has_gradients, require_gradients
from kerasvit.errors import UsageError
from kerasvit.saliency.options import MethodOptions
from kerasvit.saliency.request import Request
from kerasvit.saliency.result import SaliencyMap

if TYPE_CHECKING:
    from kerasvit.models.base import ScoreModel

# The arguments of `explain` that not every method has a use for.
SHARED = ("target", "layer", "heads", "query", "stage")


@dataclasses.dataclass(frozen=True)
class Unfit:
    """Models for which a method has no meaning.

    Args:
        argument: of the model.
        applies: tells whether its value is one of those.
        reason: continues "This method".
    """

    argument: str
    applies: Callable[[Any], bool]
    reason: str


@dataclasses.dataclass(frozen=True)
class Method:
    """One saliency method: what it is called, computes, takes and looks like.

    Args:
        name: as `explain` and the command line take it.
        function: makes the maps of a call with these options.
        about: one line: what the map shows.
        takes: which of `SHARED` it has a use for: `"target"`, it explains a class; `"layer"`, it
            looks at one block; `"heads"`, it combines heads as it is told; `"query"` and
            `"stage"`, it reads the attention of a token, of one of the stages.
        options: its own options.
        normalisation: how its map is brought to colours, see `kerasvit.saliency.normalise`:
            `"max"` for signed maps, where what is negative speaks against the class.
        interpolation: how its map is laid on a photograph: `"nearest"` for masks, which end where
            a patch ends.
        unfit: models for which it has no meaning.
        differentiates: whether it needs gradients, which not every backend has.
    """

    name: str
    function: Callable[[Request, Any], SaliencyMap]
    about: str
    takes: tuple[str, ...] = ()
    options: type[MethodOptions] = MethodOptions
    normalisation: str = "minmax"
    interpolation: str = "bicubic"
    unfit: tuple[Unfit, ...] = ()
    differentiates: bool = False

    def reason_against(self, model: "ScoreModel") -> Unfit | None:
        """Return why the method has no meaning for a model, or None."""
        for unfit in self.unfit:
            if unfit.applies(getattr(model, unfit.argument, None)):
                return unfit
        return None

    def has_backend(self) -> bool:
        """Tell whether Keras' backend has what the method needs."""
        return has_gradients() or not self.differentiates

    def check_backend(self) -> None:
        """Raise `UsageError` where Keras' backend lacks the gradients that the method needs."""
        if self.differentiates:
            require_gradients(f"The method {self.name!r}")

    def explain(self, request: Request, options: Mapping[str, Any]) -> SaliencyMap:
        """Make the maps of a call.

        Args:
            request: the call.
            options: the method's own, by name.

        Raises:
            InputError: if pixels or scores are not what they should be.
            UsageError: if an option is unknown or cannot be, or the model lacks what is asked for.
        """
        if request.layer is not None and "layer" not in self.takes:
            names = [known.name for known in self.options.known()]
            instead = ", or pass start_layer" if "start_layer" in names else ""
            raise UsageError(
                "This method has no single block to look at: it depends on all blocks. "
                f"Received: layer={request.layer!r}. Leave it out{instead}."
            )
        if request.heads != "mean" and "heads" not in self.takes:
            raise UsageError(
                f"This method combines the heads by its own rule. Received: heads={request.heads!r}"
                ". Leave it out, or choose method='attention' or method='rollout'."
            )
        return self.function(request, self.options.read(options))
