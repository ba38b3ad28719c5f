"""What a model's outputs mean: one class of several, yes or no, many labels, or plain values."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasvit.layers.base import require
from kerasvit.numerics import sigmoid, softmax

# The words of Hugging Face's `config.json`. One logit of either classification is a yes or no.
SINGLE_LABEL = "single_label_classification"
MULTI_LABEL = "multi_label_classification"
REGRESSION = "regression"
PROBLEM_TYPES = (SINGLE_LABEL, MULTI_LABEL, REGRESSION)

# A label is given to an image from this probability on.
THRESHOLD = 0.5


@dataclasses.dataclass(frozen=True)
class Problem:
    """How a model's first output is read; the one place that makes probabilities of logits.

    | outputs | problem type | read as | classes |
    |---|---|---|---|
    | K > 1 | `single_label_classification`, or none stated | softmax | K |
    | K > 1 | `multi_label_classification` | sigmoid, each for itself | K |
    | 1 | either of these, or none stated | sigmoid: yes or no | 2: no is 0, yes is 1 |
    | any | `regression` | the values as they are | K |

    Args:
        num_outputs: K, at least 1.
        stated: what the model's record says, one of `PROBLEM_TYPES`; None for nothing.
        stated_names: names of the classes in the record. One logit has one, of the yes, or two, of
            the no and the yes, as labels 0 and 1 of binary cross entropy.

    Raises:
        UsageError: if the problem type is unknown.
    """

    num_outputs: int
    stated: str | None = None
    stated_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        require(
            self.stated is None or self.stated in PROBLEM_TYPES,
            f"problem_type must be one of {PROBLEM_TYPES}. Received: problem_type={self.stated!r}",
        )

    @property
    def problem_type(self) -> str:
        """One of `PROBLEM_TYPES`: the stated one, or what the number of outputs implies."""
        return self.stated or (SINGLE_LABEL if self.num_outputs > 1 else MULTI_LABEL)

    @property
    def is_regression(self) -> bool:
        """Whether the outputs are values, not classes."""
        return self.problem_type == REGRESSION

    @property
    def is_binary(self) -> bool:
        """Whether one logit stands for two classes."""
        return self.num_outputs == 1 and not self.is_regression

    @property
    def has_many_labels(self) -> bool:
        """Whether an image may have several of the classes, or none."""
        return self.problem_type == MULTI_LABEL and not self.is_binary

    @property
    def description(self) -> str:
        """What a message calls the head, such as "many labels (sigmoid of 5 logits)"."""
        if self.is_regression:
            return f"a regression of {self.num_outputs}"
        if self.is_binary:
            return "yes or no (sigmoid of one logit)"
        if self.has_many_labels:
            return f"many labels (sigmoid of {self.num_outputs} logits)"
        return f"one class of {self.num_outputs} (softmax)"

    @property
    def note(self) -> str:
        """What was assumed of the head and might be otherwise, in one line; "" for nothing."""
        if self.num_outputs > 1 or self.stated or self.stated_names:
            return ""
        return (
            "one logit is read as yes or no, by its sigmoid, since the model's record has no "
            'problem_type; for a value set it to "regression"'
        )

    @property
    def num_classes(self) -> int:
        """How many classes there are to choose from; of a regression, values."""
        return 2 if self.is_binary else self.num_outputs

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes in order; fewer where nobody knows them."""
        names = self.stated_names
        if self.is_binary and len(names) == 1:
            return (f"not {names[0]}", names[0])
        if self.is_regression and not names:
            return tuple(f"value {index}" for index in range(self.num_outputs))
        return names[: self.num_classes]

    def name(self, index: int) -> str:
        """Return what a class is called: its name, or `"class 7"`."""
        return self.names[index] if index < len(self.names) else f"class {index}"

    def class_logits(self, logits: np.ndarray) -> np.ndarray:
        """Return a logit for each class, `(..., num_classes)`, of outputs `(..., K)`.

        Those of a yes or no are half the logit, against and for: their softmax is its sigmoid.
        """
        return np.concatenate([-logits / 2, logits / 2], axis=-1) if self.is_binary else logits

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Return the probability of each class; the values themselves of a regression.

        Args:
            logits: float `(..., K)`, finite.

        Returns:
            `(..., num_classes)`, of the same dtype; they sum to 1 unless there are many labels.
        """
        if self.is_regression:
            return logits
        return sigmoid(logits) if self.has_many_labels else softmax(self.class_logits(logits))

    def directions(self, classes: Sequence[int]) -> np.ndarray:
        """Return in which direction of the outputs each class lies, float32 `(n, K)`."""
        if self.is_binary:
            return np.array([[2.0 * number - 1.0] for number in classes], np.float32)
        return np.eye(self.num_outputs, dtype=np.float32)[list(classes)]

    def holds(self, logits: np.ndarray, classes: Sequence[int]) -> np.ndarray:
        """Return whether images have the classes: the first of all, or a label that is given.

        Args:
            logits: `(..., B, K)`.
            classes: B numbers.

        Returns:
            bool `(..., B)`.
        """
        if self.has_many_labels:
            return self.of_classes(self.probabilities(logits), classes) >= THRESHOLD
        return self.class_logits(logits).argmax(axis=-1) == np.asarray(classes)

    def of_classes(self, values: np.ndarray, classes: Sequence[int]) -> np.ndarray:
        """Return the value of one class of each image, `(..., B)`, of `(..., B, num_classes)`."""
        chosen = np.eye(self.num_classes, dtype=values.dtype)[list(classes)]
        return (values * chosen).sum(axis=-1)


def problem_of(record: Mapping[str, Any], num_outputs: int) -> Problem:
    """Return how the outputs of a model are read.

    Args:
        record: of the model; its `problem_type` and `class_names` count.
        num_outputs: of its head.

    Raises:
        UsageError: if the problem type is unknown.
    """
    names = tuple(map(str, record.get("class_names") or ()))
    return Problem(num_outputs, record.get("problem_type"), names)
