"""Formulas as MathML, which browsers draw themselves: no script, and no request to the outside."""

from docutils.utils.math.latex2mathml import tex2mathml


def inline(translator, node):
    """Write a formula of a line."""
    _write(translator, node, as_block=False)


def block(translator, node):
    """Write a formula of its own."""
    _write(translator, node, as_block=True)


def _write(translator, node, as_block):
    from docutils import nodes

    translator.body.append(tex2mathml(node.astext(), as_block=as_block))
    raise nodes.SkipNode


def setup(app):
    """Register the renderer, and make it the one that is used."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True}
