"""The model card: what a stranger must know of a model before using it."""

import json
import math
from collections.abc import Mapping
from typing import Any

from kerasvit.models.base import ScoreModel

SHEET = "attention.png"

# Licences that the Hub knows by an identifier: https://huggingface.co/docs/hub/repositories-licenses
_LICENCES = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0"),
    *("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "gpl-3.0", "openrail"),
)


def model_card(model: ScoreModel, repository: str, sheet_of: str | None = None) -> str:
    """Return the card of a model, as the Hub shows it: Markdown below a table of facts in YAML.

    Args:
        model: a kerasvit model with its record.
        repository: `"user/name"` on the Hub.
        sheet_of: what picture the sheet beside the card shows; None if there is none.
    """
    parts = [_front_matter(model), f"# {repository.split('/')[-1]}", _about(model)]
    if sheet_of is not None:
        parts.append(f"![Where the model looks]({SHEET})\n\n*{_plain(sheet_of)}*")
    parts += [_use(repository), _preprocessing(model.record), _scores(model), _origin(model.record)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(model: ScoreModel) -> str:
    licence = str(model.record.get("licence") or "unknown")
    known = licence.lower() in _LICENCES
    facts: dict[str, Any] = {
        "library_name": "keras",
        "license": licence.lower() if known else "other",
        **({} if known else {"license_name": licence}),
        "pipeline_tag": "image-classification" if model.num_classes else "image-feature-extraction",
        "tags": ["kerasvit", "keras", "vision-transformer", "attention", "saliency"],
    }
    # JSON's values are YAML's: no text from a record can end its line and start another.
    lines = [f"{name}: {json.dumps(value)}" for name, value in facts.items()]
    return "\n".join(["---", *lines, "---"])


def _about(model: ScoreModel) -> str:
    parameters = sum(math.prod(weight.shape) for weight in model.weights)
    classes = f"{model.num_classes} classes" if model.num_classes else "no head: it gives features"
    size = "x".join(map(str, model.image_shape[:2]))
    return (
        f"A {type(model).__name__} for Keras 3 on TensorFlow, JAX and PyTorch, `{model.name}`: "
        f"{parameters:,} parameters, {size} pixels, patches of "
        f"{'x'.join(map(str, model.patch_size))}, {classes}. It returns its attention scores "
        "beside its logits."
    )


def _use(repository: str) -> str:
    return f"""## Use

```python
import kerasvit
from kerasvit.saliency import explain

model = kerasvit.from_pretrained("hf://{repository}")
explain(model, "photo.jpg").plot()
```

```bash
kerasvit saliency photo.jpg -m hf://{repository} -o out/
```"""


def _preprocessing(record: Mapping[str, Any]) -> str:
    table = record.get("preprocessing")
    if not table:
        return ""
    rows = [f"| {_plain(name)} | {_plain(json.dumps(value))} |" for name, value in table.items()]
    return "\n".join(["## Preprocessing", "", "| what | value |", "|---|---|", *rows])


def _scores(model: ScoreModel) -> str:
    size = model.image_shape[:2]
    lines = ["## Scores", "", "`logits, sa_scores, ca_scores = model(images)`:", ""]
    for stage, blocks in (("sa", model.blocks), ("ca", model.class_blocks)):
        if blocks and stage == "sa" and model.attends_to_channels:
            dim = model.hidden_dim // model.num_heads
            lines.append(
                f"- `sa_scores`: {len(blocks)} blocks, {dim} channels a head: attention among "
                "channels, not tokens"
            )
        elif blocks:
            layout = model.token_layout(size, stage)
            prefix = ", ".join(layout.prefix) or "none"
            lines.append(
                f"- `{stage}_scores`: {len(blocks)} blocks, {layout.num_tokens} tokens; before the "
                f"{layout.grid[0]}x{layout.grid[1]} patches: {prefix}"
            )
    return "\n".join(lines)


def _origin(record: Mapping[str, Any]) -> str:
    source = record.get("source") or "not stated"
    if isinstance(source, Mapping):
        source = ", ".join(f"{name}: {value}" for name, value in source.items() if value)
    lines = ["## Origin", "", f"- Weights: {_plain(source)}"]
    lines.append(f"- Licence: {_plain(record.get('licence') or 'not stated by the source')}")
    parity = record.get("parity")
    if parity:
        worst = max(parity.get("scores", {}).values(), default=0.0)
        lines.append(
            f"- Compared with {_plain(parity.get('reference', 'timm'))}: logits within "
            f"{parity['logits']:.1e} of the largest, every score within {worst:.1e}"
        )
    if record.get("test_accuracy") is not None:
        count = record.get("test_count", "its")
        lines.append(f"- Test accuracy: {record['test_accuracy']:.4f} on {count} pictures")
    return "\n".join(lines)


def _plain(text: Any) -> str:
    """Return a text from outside as one line of Markdown that shows it as it is."""
    line = " ".join(str(text).split())
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|!" else letter for letter in line)
