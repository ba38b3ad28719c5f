"""`kerasvit verify`: the parity report of a converted file, map by map."""

from kerasvit.cli.speech import say_table, tell


def add_parsers(subparsers, common) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "verify",
        parents=[common],
        help="compare a converted file with its source, as timm runs it, score map by score map",
    )
    parser.add_argument("model", help="the .keras file")
    parser.add_argument("source", help="the checkpoint that it was converted from")
    parser.add_argument("--head", help="the linear head that it was joined with")
    parser.add_argument(
        "--select",
        choices=("teacher", "student", "encoder", "target_encoder"),
        help="network of a full checkpoint of DINO, DINOv2 or I-JEPA",
    )
    parser.add_argument("--sha256", help="published digest of the source, or its first 8 digits")
    parser.set_defaults(run=run, needs_keras=True)


def run(options) -> int:
    """Print the table.

    Raises:
        InputError: if a figure is beyond its bar.
    """
    from kerasvit.conversion import verify_file
    from kerasvit.errors import InputError

    parity = verify_file(
        options.model,
        options.source,
        head=options.head,
        select=options.select,
        sha256=options.sha256,
        report=tell,
    )
    rows = parity.rows()
    say_table(_table(rows))
    failed = [name for _, name, _, _, within in rows if not within]
    if failed:
        shown = ", ".join(failed[:5])
        raise InputError(
            f"{options.model!r} does not compute what {options.source!r} does: every difference "
            f"must be within its bar. Received: {len(failed)} of {len(rows)} beyond, {shown}. "
            "Convert it again, or name the source that it was converted from"
        )
    return 0


def _table(rows) -> str:
    lines = [("stage", "map", "difference", "bar", "")]
    for stage, name, difference, bar, within in rows:
        lines.append((stage, name, f"{difference:.1e}", f"{bar:.1e}", "ok" if within else "FAIL"))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
