"""The directive `members`: every public class and function of a module, from its docstrings."""

import importlib
import inspect
import types

from sphinx.util.docutils import SphinxDirective

# What users import from rooms that gather no names of their own.
PUBLIC = (
    "kerasvit",
    "kerasvit.callbacks",
    "kerasvit.conversion",
    "kerasvit.errors",
    "kerasvit.evaluation",
    "kerasvit.exporting",
    "kerasvit.features",
    "kerasvit.images",
    "kerasvit.layers",
    "kerasvit.look",
    "kerasvit.models",
    "kerasvit.releases",
    "kerasvit.render",
    "kerasvit.saliency",
    "kerasvit.training.distillation",
    "kerasvit.training.distribution",
    "kerasvit.training.finetuning",
    "kerasvit.training.linear_probe",
    "kerasvit.training.losses",
    "kerasvit.training.neighbours",
    "kerasvit.training.teacher_features",
)


def public_names(module: str) -> list[str]:
    """Return the public names of a module: those of `__all__`, else its own and its re-exports."""
    found = importlib.import_module(module)
    names = getattr(found, "__all__", None)
    if names is None:
        names = [name for name in vars(found) if _is_own(found, name)]
    return [name for name in names if not isinstance(getattr(found, name), types.ModuleType)]


def _is_own(module, name):
    """Tell whether a module without `__all__` offers a name, or only imports it for itself."""
    value = getattr(module, name)
    if name.startswith("_") or isinstance(value, types.ModuleType):
        return False
    # A room's `__init__` imports what it offers, a module what it needs.
    return hasattr(module, "__path__") or getattr(value, "__module__", None) == module.__name__


def kind(value) -> str:
    """Return what a value is documented as."""
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if inspect.isroutine(value) else "data"


class Members(SphinxDirective):
    """Write the entries of a module; what is no class or function has its entry on the page."""

    required_arguments = 1

    def run(self):
        """Return the nodes of all entries."""
        (module,) = self.arguments
        names = public_names(module)
        values = {name: getattr(importlib.import_module(module), name) for name in names}
        entries = [
            self._entry(module, name, kind(value))
            for name, value in values.items()
            if kind(value) != "data"
        ]
        text = "\n".join(("```{eval-rst}", f".. module:: {module}", "", *entries, "```"))
        return self.parse_text_to_nodes(text)

    def _entry(self, module, name, what):
        top = importlib.import_module("kerasvit")
        if module != "kerasvit" and name in top.__all__:
            # One place for each: the page of the package.
            role = {"function": "func", "exception": "exc"}.get(what, "class")
            same = f"   The same as :{role}:`kerasvit.{name}`."
            return "\n".join((f".. py:{what}:: {name}", "", same, ""))
        return f".. auto{what}:: {module}.{name}\n"


def setup(app):
    """Register the directive."""
    app.add_directive("members", Members)
    return {"parallel_read_safe": True}
