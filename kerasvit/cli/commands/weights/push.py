"""`kerasvit push`: a model in a repository of the Hugging Face Hub."""

from kerasvit.cli.speech import say


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "push",
        parents=[common],
        help="publish a model on the Hugging Face Hub, with a card and a sheet of maps",
    )
    parser.add_argument("model", help="a .keras file or a release")
    parser.add_argument("repository", help="user/name, made if missing")
    parser.add_argument("--picture", help="what the sheet shows; be sure that you may publish it")
    parser.add_argument("--credit", help="of the picture, for the card")
    parser.add_argument("--private", action="store_true", help="of a new repository")
    parser.add_argument(
        "--dry-run", metavar="FOLDER", help="write the files into a folder and publish nothing"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files of it")
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Publish, and print where."""
    from kerasvit.publishing import push, write_folder

    sheet = {"picture": options.picture, "credit": options.credit}
    if options.dry_run is not None:
        place = (options.model, options.dry_run, options.repository)
        for path in write_folder(*place, **sheet, overwrite=options.overwrite):
            say(path)
        return 0
    say(push(options.model, options.repository, private=options.private, **sheet))
    return 0
