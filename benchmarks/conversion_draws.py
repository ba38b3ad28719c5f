"""Networks of random facts, converted and compared with their own forward pass.

    python -m benchmarks.conversion_draws [--draws 200] [--first 0] [--seed 0]

Each draw makes a tiny network of timm or transformers of random weights and random facts: heads,
epsilon, activation, grid, registers, channels, classes, biases, LayerScale, pooling.
It is converted three times: the live module; its file with the config.json that its library writes;
and the file alone under a name, where the facts are not there: that must be refused, or be right.
What counts is the source's own forward pass, which this file runs itself.
"""

import argparse
import dataclasses
import functools
import json
import pathlib
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

LOGITS_BAR = 1e-4
SCORES_BAR = 1e-5


@dataclasses.dataclass(frozen=True)
class Source:
    """A network and what it computes.

    Args:
        facts: what was drawn, in words.
        module: the live module.
        images: float32 `(B, height, width, C)`.
        logits: its own, `(B, K)` or the pooled feature.
        scores: of each self-attention block, in order.
        name: a named model of its kind.
        options: what its config.json can't say, as keywords of `convert`.
        save: writes file and config into a folder, and returns the path to convert.
    """

    facts: dict[str, Any]
    module: Any
    images: np.ndarray
    logits: np.ndarray
    scores: list[np.ndarray]
    name: str | None
    options: dict[str, Any]
    save: Callable[[pathlib.Path], pathlib.Path]


def randomise(module: Any, seed: int) -> Any:
    """Move every parameter away from where it starts."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_gain = parameter.ndim == 1 and (name.endswith("weight") or "gamma" in name)
            is_gain |= "lambda" in name
            if parameter.ndim > 1 and name.endswith("weight"):
                noise = noise * 2 / parameter[0].numel() ** 0.5
            parameter.copy_(0.8 + 0.3 * noise if is_gain else noise)
    return module.eval()


def draw(number: int, seed: int = 0) -> Source:
    """Return the network of a number."""
    chance = random.Random(1000 * seed + number)
    make = chance.choice(
        [_draw_timm, _draw_timm, _draw_cait, _draw_transformers, _draw_transformers]
    )
    return make(chance, number)


def _sizes(chance: random.Random) -> dict[str, Any]:
    heads = chance.choice([1, 2, 3, 4, 6, 12])
    return {
        "heads": heads,
        "width": heads * chance.choice([4, 8, 16]),
        "depth": chance.choice([1, 2, 3]),
        "patch": chance.choice([2, 4, 7]),
        "grid": (chance.randint(2, 8), chance.randint(2, 8)),
        "channels": chance.choice([3, 3, 3, 1, 4, 13]),
        "classes": chance.choice([0, 2, 7, 10]),
        "epsilon": chance.choice([1e-6, 1e-6, 1e-12, 1e-5, 1e-3]),
        "activation": chance.choice(["gelu", "gelu", "relu", "gelu_tanh", "quick_gelu", "silu"]),
    }


def _draw_timm(chance: random.Random, number: int) -> Source:
    import timm

    sizes = _sizes(chance)
    name = chance.choice(["vit_tiny_patch16_224", "vit_small_patch16_224", "vit_base_patch16_224"])
    arguments = _timm_arguments(sizes) | {
        "mlp_ratio": chance.choice([1.0, 2.0, 4.0]),
        "qkv_bias": chance.random() < 0.7,
    }
    if chance.random() < 0.2:
        name = "deit_tiny_distilled_patch16_224"
    else:
        has_class = chance.random() < 0.7
        arguments |= {
            "class_token": has_class,
            "reg_tokens": chance.choice([0, 0, 1, 3]),
            "no_embed_class": chance.random() < 0.4,
            "init_values": chance.choice([None, 1e-5]),
            "pre_norm": chance.random() < 0.2,
            "global_pool": chance.choice(["token", "avg"] if has_class else ["avg", "max"]),
        }
    module = timm.create_model(name, **arguments, **_norm(sizes))
    return _of_timm(module, name, sizes, arguments, number)


def _draw_cait(chance: random.Random, number: int) -> Source:
    import timm

    sizes = _sizes(chance)
    arguments = _timm_arguments(sizes, True) | {"qkv_bias": chance.random() < 0.7}
    module = timm.create_model("cait_xxs24_224", **arguments, **_norm(sizes))
    return _of_timm(module, "cait_xxs24_224", sizes, arguments, number)


def _timm_arguments(sizes: dict[str, Any], is_cait: bool = False) -> dict[str, Any]:
    import timm

    activation = sizes["activation"]
    if is_cait or activation not in ("relu", "silu", "gelu"):
        activation = timm.layers.get_act_layer(activation)
    return {
        "img_size": tuple(side * sizes["patch"] for side in sizes["grid"]),
        "patch_size": sizes["patch"],
        "embed_dim": sizes["width"],
        "depth": sizes["depth"],
        "num_heads": sizes["heads"],
        "in_chans": sizes["channels"],
        "num_classes": sizes["classes"],
        "act_layer": activation,
    }


def _norm(sizes: dict[str, Any]) -> dict[str, Any]:
    import timm

    return {"norm_layer": functools.partial(timm.layers.LayerNorm, eps=sizes["epsilon"])}


def _of_timm(module, name, sizes, arguments, number) -> Source:
    import torch

    randomise(module, number)
    images = _images(arguments["img_size"], sizes["channels"], number)
    caught: list[Any] = []
    for part in module.modules():
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
    handles = [
        block.attn.attn_drop.register_forward_hook(lambda p, i, o: caught.append(o.numpy()))
        for block in module.blocks
    ]
    with torch.no_grad():
        logits = module(_pixels(images)).numpy()
    for handle in handles:
        handle.remove()
    # JSON holds neither the norm nor an activation that is a class.
    options = {"layer_norm_epsilon": sizes["epsilon"]} if sizes["epsilon"] != 1e-6 else {}
    if not isinstance(arguments["act_layer"], str):
        options["activation"] = sizes["activation"]

    def save(folder: pathlib.Path) -> pathlib.Path:
        path = folder / "model.safetensors"
        _save_tensors(module.state_dict(), path)
        kept = {k: v for k, v in arguments.items() if k not in ("num_classes", "in_chans")}
        kept = {k: v for k, v in kept.items() if not callable(v)}
        config = {
            "architecture": name,
            "num_classes": module.num_classes,
            "model_args": kept,
            "pretrained_cfg": {"input_size": [sizes["channels"], *arguments["img_size"]]},
        }
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return path

    facts = {"of": f"timm {name}", **sizes, **arguments}
    return Source(facts, module, images, logits, caught, name, options, save)


_KINDS = ("ViT", "ViT", "DeiT", "Dinov2", "Dinov2WithRegisters", "ViTMSN", "IJepa")


def _draw_transformers(chance: random.Random, number: int) -> Source:
    import transformers

    sizes = _sizes(chance)
    kind = chance.choice(_KINDS)
    if kind.startswith("Dinov2"):  # transformers' own takes a square root of its positions
        sizes["grid"] = (sizes["grid"][0],) * 2
    side = tuple(length * sizes["patch"] for length in sizes["grid"])
    activations = {"gelu_tanh": "gelu_pytorch_tanh"}
    arguments = {
        "hidden_size": sizes["width"],
        "num_hidden_layers": sizes["depth"],
        "num_attention_heads": sizes["heads"],
        "hidden_act": activations.get(sizes["activation"], sizes["activation"]),
        "layer_norm_eps": sizes["epsilon"],
        "image_size": list(side),
        "patch_size": sizes["patch"],
        "num_channels": sizes["channels"],
        "qkv_bias": chance.random() < 0.7,
    }
    if kind.startswith("Dinov2"):
        arguments |= {"mlp_ratio": chance.choice([1, 2, 4])}
        arguments |= {"use_swiglu_ffn": chance.random() < 0.3}
    else:
        arguments["intermediate_size"] = sizes["width"] * chance.choice([1, 2, 4])
    if kind.endswith("Registers"):
        arguments["num_register_tokens"] = chance.choice([1, 2, 4])
    suffix = "Model"
    if sizes["classes"]:
        arguments["id2label"] = {index: f"class {index}" for index in range(sizes["classes"])}
        suffix = "ForImageClassificationWithTeacher" if kind == "DeiT" else "ForImageClassification"
    config = getattr(transformers, f"{kind}Config")(**arguments, attn_implementation="eager")
    module = randomise(getattr(transformers, f"{kind}{suffix}")(config), number)
    return _of_transformers(module, kind, sizes, arguments, number)


def _of_transformers(module, kind, sizes, arguments, number) -> Source:
    import torch

    images = _images(tuple(arguments["image_size"]), sizes["channels"], number)
    with torch.no_grad():
        outputs = module(pixel_values=_pixels(images), output_attentions=True)
    logits = getattr(outputs, "logits", None)
    if logits is None:
        tokens = outputs.last_hidden_state
        read = {"IJepa": tokens, "DeiT": tokens[:, :2]}.get(kind, tokens[:, :1])
        logits = read.mean(dim=1)

    def save(folder: pathlib.Path) -> pathlib.Path:
        module.save_pretrained(folder)
        return folder

    facts = {"of": f"transformers {type(module).__name__}", **sizes, **arguments}
    scores = [score.numpy() for score in outputs.attentions]
    return Source(facts, module, images, logits.numpy(), scores, None, {}, save)


def _images(size: tuple[int, int], channels: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(2, *size, channels)).astype("float32")


def _pixels(images: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def _save_tensors(state: dict[str, Any], path: pathlib.Path) -> None:
    import safetensors.torch

    safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()}, path)


def check(source: Source, folder: pathlib.Path) -> dict[str, str]:
    """Convert a network in each way; return what came of it.

    Args:
        source: the network.
        folder: an empty one.

    Returns:
        For "live", "file" and "bare": "right", "wrong: ...", "refused: ..." or "error: ...".
    """
    path = source.save(folder)
    bare = next(folder.glob("*.safetensors")).rename(folder.parent / f"{folder.name}.safetensors")
    results = {"bare": _outcome(source, bare, model=source.name, verify=None)}
    bare.rename(folder / "model.safetensors")
    results["live"] = _outcome(source, source.module, verify=True)
    results["file"] = _outcome(source, path, verify=True, **source.options)
    return results


def _outcome(source: Source, what: Any, **options: Any) -> str:
    from kerasvit.conversion import convert
    from kerasvit.errors import KerasViTError

    try:
        model = convert(what, **options).model
    except KerasViTError as error:
        return f"refused: {error}"
    except Exception as error:
        return f"error: {type(error).__name__}: {error}"
    return difference(source, model)


def difference(source: Source, model: Any) -> str:
    """Return "right", or "wrong" with how far a model is from the source's own forward pass."""
    from keras import ops

    if tuple(model.image_shape[:2]) != source.images.shape[1:3]:
        return f"wrong: an image size of {model.image_shape}"
    logits, scores, _ = model(source.images)
    logits = ops.convert_to_numpy(logits)
    if logits.shape != source.logits.shape:
        return f"wrong: logits of shape {logits.shape}"
    far = float(np.abs(logits - source.logits).max() / np.abs(source.logits).max())
    pairs = zip(scores.values(), source.scores, strict=True)
    score_far = max(
        float(np.abs(ops.convert_to_numpy(ours) - theirs).max()) for ours, theirs in pairs
    )
    is_right = far <= LOGITS_BAR and score_far <= SCORES_BAR
    return "right" if is_right else f"wrong: logits by {far:.1e}, scores by {score_far:.1e}"


def main(arguments: list[str] | None = None) -> int:
    """Run the draws; return 1 if one is wrong, or has an error that is none of ours."""
    parser = argparse.ArgumentParser(prog="benchmarks.conversion_draws", description=__doc__)
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="number of the first draw")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    from kerasvit.conversion.proof.timm.package import import_timm

    import_timm()
    import transformers

    transformers.utils.logging.disable_progress_bar()
    counts: Counter = Counter()
    for number in range(options.first, options.first + options.draws):
        source = draw(number, options.seed)
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder) / "network"
            place.mkdir()
            results = check(source, place)
        for way, result in results.items():
            counts[way, result.split(":")[0]] += 1
            if result != "right" and not (way == "bare" and result.startswith("refused")):
                print(f"{number} {way} {result[:300]}\n    {source.facts}")
    for (way, result), count in sorted(counts.items()):
        print(f"{way:6} {result:8} {count}")
    return int(any(result in ("wrong", "error") for _, result in counts))


if __name__ == "__main__":
    sys.exit(main())
