"""Folders of labelled pictures on the command line."""

from kerasvit.cli.options import at_least
from kerasvit.cli.speech import tell
from kerasvit.texts.wording import counted


def add_folder(parser, what: str) -> None:
    """Add `--data` and what chooses among its pictures.

    Args:
        parser: of the command.
        what: what the pictures are for.
    """
    parser.add_argument(
        "--data",
        required=True,
        metavar="FOLDER",
        help=f"{what}: a folder, or a zip, with a folder for each class",
    )
    parser.add_argument(
        "--split", metavar="NAME", help="of its splits, where it has some, such as train"
    )
    parser.add_argument(
        "--limit", type=at_least(1), metavar="N", help="the first N pictures of each class alone"
    )


def limited(folder, count: int | None):
    """Return the first pictures of each class, or the folder itself without a limit."""
    from kerasvit.training.data.subsets import first_of_each_class

    return first_of_each_class(folder, count) if count else folder


def say_broken(*folders) -> int:
    """Say on standard error how many pictures could not be read; return the number."""
    count = sum(len(folder.broken) for folder in folders if folder is not None)
    if count:
        total = sum(len(folder) for folder in folders if folder is not None)
        skipped = "was skipped" if count == 1 else "were skipped"
        tell(f"kerasvit: {count} of {counted(total, 'picture')} {skipped}")
    return count
