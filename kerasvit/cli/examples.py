"""What each command's help shows by example; a test parses them all, and runs those that can be."""

import argparse
import textwrap

# By command, "" for the main help: a line that can be typed, and what it does.
EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("kerasvit saliency sample:chelsea", "where the small model in the package looks"),
        ("kerasvit list 'dino*'", "models by name"),
        (
            "kerasvit convert dino_vits8 -o dino.keras",
            "published PyTorch weights, compared with their own network",
        ),
        ("kerasvit saliency photo.jpg -m dino.keras --format pdf", "a figure for a paper"),
    ),
    "list": (
        ("kerasvit list 'cait*'", "models"),
        ("kerasvit list 'dino*'", "what publishers call them"),
        ("kerasvit list --pretrained '*dino*'", "published weights, with size and licence"),
        ("kerasvit list --methods", "saliency methods and their options"),
    ),
    "info": (
        ("kerasvit info dino_vits8", "a model"),
        ("kerasvit info cait_xxs24_224.fb_dist_in1k", "a release"),
        ("kerasvit info mine.keras", "a file"),
    ),
    "convert": (
        ("kerasvit convert cait_xxs24_224.fb_dist_in1k -o cait.keras", "a release"),
        ("kerasvit convert mine.pth -m vit_small_patch16_224 -o mine.keras", "one's own weights"),
        ("kerasvit convert hf://org/name -o theirs.keras", "a model of the Hugging Face Hub"),
    ),
    "verify": (("kerasvit verify mine.keras mine.pth", "score map by score map"),),
    "export": (
        ("kerasvit export mine.keras -o mine.onnx", "logits and attention in ONNX Runtime"),
        ("kerasvit export mine.keras -o page.html", "a page that runs it in the browser"),
    ),
    "export-weights": (
        ("kerasvit export-weights mine.keras -o mine.safetensors", "for timm"),
        ("kerasvit export-weights mine.keras -o hf --layout huggingface", "for transformers"),
    ),
    "predict": (
        ("kerasvit predict sample:chelsea", "the five most probable classes"),
        ("kerasvit predict photos -m mine.keras --top 1", "of a folder, the first alone"),
    ),
    "saliency": (
        ("kerasvit saliency sample:chelsea", "sheet, overlay and arrays in out/"),
        ("kerasvit saliency photo.jpg --method attention --layer all", "every block and head"),
        ("kerasvit saliency photos -m mine.keras --class cat -o cats", "what speaks for a class"),
        (
            "kerasvit saliency photo.jpg --format pdf,svg --dpi 300 --title ''",
            "a figure for a paper, its title left to the caption",
        ),
        ("kerasvit saliency film.mp4 --mode overlay", "a video"),
    ),
    "features": (
        ("kerasvit features pca photos -m dinov2.keras", "colours that mean the same in each"),
        (
            "kerasvit features similarity one.jpg two.jpg -m dinov2.keras --pixel 120,200",
            "how alike the patch of a pixel is to all others",
        ),
        (
            "kerasvit features match one.jpg two.jpg -m dinov2.keras --foreground-only",
            "which patches are each other's nearest",
        ),
    ),
    "merge": (
        (
            "kerasvit saliency photos -o out --shard 1/2",
            "one of two machines, or of two processes; the other draws --shard 2/2",
        ),
        ("kerasvit merge out", "one manifest of both"),
    ),
    "push": (
        ("kerasvit push mine.keras me/mine --dry-run folder", "what would be published"),
        ("kerasvit push mine.keras me/mine --private", "for oneself"),
    ),
    "patches": (
        ("kerasvit patches sample:chelsea", "what the model sees, patch by patch"),
        ("kerasvit patches photo.jpg -m mine.keras --fit crop --format pdf", "as a PDF"),
    ),
    "evaluate-saliency": (
        (
            "kerasvit evaluate-saliency photos --methods attention,rollout,relevance",
            "means, standard errors, and differences to the first method",
        ),
        (
            "kerasvit evaluate-saliency photos -o r.csv --plot curves.pdf --seed 1",
            "a table and a figure for a paper",
        ),
        (
            "kerasvit evaluate-saliency photos --masks masks --metrics none",
            "against the masks of the objects alone",
        ),
    ),
    "probe": (
        ("kerasvit probe sample:chelsea", "how far heads look, what features hold"),
        ("kerasvit probe photos -m a.keras --against b.keras", "two models, layer by layer"),
    ),
    "train": (
        ("kerasvit train cifar10_cait_nano --data cifar10.zip -o runs/nano", "a recipe"),
        ("kerasvit train cifar10_cait_nano -o runs/nano --resume", "go on where it stopped"),
    ),
    "finetune": (
        ("kerasvit finetune -m dino.keras --data flowers -o runs/flowers", "new classes"),
    ),
    "evaluate": (
        ("kerasvit evaluate -m mine.keras --data photos", "top-1 and top-5"),
        (
            "kerasvit evaluate -m dino.keras --data test --neighbours train",
            "features, by the nearest neighbours",
        ),
    ),
    "app": (("kerasvit app -m mine.keras", "a page to drop pictures on"),),
    "completion": (
        ('eval "$(kerasvit completion bash)"', "in ~/.bashrc; zsh likewise in ~/.zshrc"),
        ("kerasvit completion fish > ~/.config/fish/completions/kerasvit.fish", "for fish"),
    ),
}
_HEADING = "examples:"


class HelpFormatter(argparse.HelpFormatter):
    """Keeps the lines of examples, and fills all other text."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        filled = super()._fill_text
        return "\n\n".join(
            textwrap.indent(part, indent)
            if part.startswith(_HEADING)
            else filled(part, width, indent)
            for part in text.split("\n\n")
        )


def add_examples(parser: argparse.ArgumentParser, command: str) -> None:
    """Add the examples of a command to the end of its help, and of the help's other text."""
    examples = EXAMPLES.get(command, ())
    lines = [f"  {line}\n      {about}" for line, about in examples]
    parts = [parser.epilog] if parser.epilog else []
    # A per cent sign would begin a placeholder.
    parts += ["\n".join([_HEADING, *lines]).replace("%", "%%")] if lines else []
    parser.epilog = "\n\n".join(parts) or None
    parser.formatter_class = HelpFormatter
