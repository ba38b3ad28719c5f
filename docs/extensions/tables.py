"""The directive `records`: tables of models, releases and methods, made from their records."""

from collections.abc import Callable

from sphinx.util.docutils import SphinxDirective


def models() -> list[tuple[str, ...]]:
    """Return a row for each architecture."""
    from kerasvit.models.factory import list_models, variant

    rows = [("name", "class", "pixels", "patch", "blocks", "heads", "width")]
    for name in list_models():
        of_class, arguments = variant(name)
        blocks = str(arguments["num_layers"])
        if "num_class_layers" in arguments:
            blocks += f" + {arguments['num_class_layers']}"
        facts = (arguments.get("patch_size"), blocks, arguments["num_heads"])
        size = "x".join(map(str, arguments["image_shape"][:2]))
        rows.append((f"`{name}`", of_class.__name__, size, *map(str, facts), _width(arguments)))
    return rows


def _width(arguments):
    return str(arguments["hidden_dim"])


def releases() -> list[tuple[str, ...]]:
    """Return a row for each published set of weights."""
    from kerasvit.releases import list_releases

    rows = [("name", "pixels", "parameters", "output", "licence", "where it lies")]
    for release in list_releases():
        count = release.num_parameters
        rows.append(
            (
                f"`{release.name}`",
                "x".join(map(str, release.preprocessing["image_size"])),
                f"{count / 1e6:.1f} M" if count else "-",
                f"{release.num_classes} classes" if release.num_classes else "features",
                release.licence or "not stated",
                _place(release),
            )
        )
    return rows


def _place(release):
    if release.embedded:
        return "in the package"
    if release.hub:
        return f"[{release.hub}](https://huggingface.co/{release.hub})"
    return f"[address]({release.url})" if release.url else "-"


TABLES: dict[str, Callable[[], list[tuple[str, ...]]]] = {"models": models, "releases": releases}


class Records(SphinxDirective):
    """Write a table of all records of a kind."""

    required_arguments = 1

    def run(self):
        """Return the nodes of the table."""
        head, *rows = TABLES[self.arguments[0]]()
        lines = [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
        return self.parse_text_to_nodes("\n".join(lines))


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def setup(app):
    """Register the directive."""
    app.add_directive("records", Records)
    return {"parallel_read_safe": True}
