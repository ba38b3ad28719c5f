"""`kerasvit merge`: one manifest from those of the shards of a run."""

from kerasvit.cli.speech import say


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "merge", parents=[common], help="one manifest from those of kerasvit saliency --shard"
    )
    parser.add_argument("folder", metavar="FOLDER", help="of the outputs, the same of all shards")
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Write the manifest, and print where it is."""
    from kerasvit.look import merge_manifests

    say(merge_manifests(options.folder))
    return 0
