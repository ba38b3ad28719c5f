"""Changes of single expressions and statements, as a careless hand would make them."""

import ast
import dataclasses
import random
import re
from collections.abc import Callable, Iterator

COMPARISONS = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.In: "not in",
    ast.NotIn: "in",
    ast.Is: "is not",
    ast.IsNot: "is",
}
OPERATORS = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "/",
    ast.Div: "*",
    ast.FloorDiv: "/",
    ast.Mod: "+",
    ast.Pow: "*",
    ast.BitOr: "&",
    ast.BitAnd: "|",
    ast.MatMult: "+",
}


# Words for people: two of them, with a blank between.
_PROSE = re.compile(r"[A-Za-z]{2,}[,;:]? [A-Za-z]{1,}")
# Conditions that no other kind changes.
_PLAIN = (ast.Name, ast.Attribute, ast.Subscript, ast.Call)


@dataclasses.dataclass(frozen=True)
class Change:
    """One change of one file: the bytes between two places are replaced."""

    file: str
    line: int
    start: int
    end: int
    new: str
    old: str

    def apply(self, source: bytes) -> bytes:
        """Return the source with this change."""
        return source[: self.start] + self.new.encode() + source[self.end :]

    def __str__(self) -> str:
        shorten = " ".join
        return f"{self.file}:{self.line}: {shorten(self.old.split())} -> {self.new}"


def changes_of(file: str, source: str) -> list[Change]:
    """Return every change of a file that is tried, in the order of the file."""
    tree = ast.parse(source)
    offsets = [0]
    for text in source.encode().splitlines(keepends=True):
        offsets.append(offsets[-1] + len(text))

    changes = []
    for node, new in _replacements(tree):
        start = offsets[node.lineno - 1] + node.col_offset
        end = offsets[node.end_lineno - 1] + node.end_col_offset
        old = source.encode()[start:end].decode()
        changes.append(Change(file, node.lineno, start, end, new, old))
    return sorted(changes, key=lambda change: (change.start, change.end, change.new))


def sample(changes: list[Change], count: int, seed: int) -> list[Change]:
    """Return some of the changes, the same for the same seed; none on the line of another."""
    shuffled = sorted(changes, key=str)
    random.Random(seed).shuffle(shuffled)
    one_a_line = {(change.file, change.line): change for change in reversed(shuffled)}
    chosen = [change for change in shuffled if one_a_line[change.file, change.line] is change]
    return sorted(chosen[:count], key=lambda change: (change.file, change.start))


def _replacements(node: ast.AST) -> Iterator[tuple]:
    """Yield the nodes that are replaced, each with its replacement, below a node.

    Left out are words, no deeds: annotations, overloads, docstrings, sentences and what errors say.
    """
    if isinstance(node, ast.Raise) or _is_docstring(node) or _is_for_checkers(node):
        return
    if isinstance(node, ast.If | ast.IfExp | ast.While) and isinstance(node.test, _PLAIN):
        yield node.test, f"(not {ast.unparse(node.test)})"
    replace = _KINDS.get(type(node), lambda _: None)
    if (new := replace(node)) is not None:
        yield node, new
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield from _replacements(child)


def _comparison(node: ast.Compare) -> str | None:
    if len(node.ops) > 1:
        return None
    left, right = ast.unparse(node.left), ast.unparse(node.comparators[0])
    return f"({left} {COMPARISONS[type(node.ops[0])]} {right})"


def _operation(node: ast.BinOp) -> str | None:
    new = OPERATORS.get(type(node.op))
    text = isinstance(node.left, ast.Constant | ast.JoinedStr) and not _is_number(node.left)
    if new is None or text:
        return None
    return f"(({ast.unparse(node.left)}) {new} ({ast.unparse(node.right)}))"


def _junction(node: ast.BoolOp) -> str:
    word = " or " if isinstance(node.op, ast.And) else " and "
    return "(" + word.join(f"({ast.unparse(value)})" for value in node.values) + ")"


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)


def _constant(node: ast.Constant) -> str | None:
    if isinstance(node.value, bool):
        return str(not node.value)
    if isinstance(node.value, int):
        return str(node.value + 1)
    if isinstance(node.value, float):
        return repr(node.value * 2 or 1.0)
    if isinstance(node.value, str) and not _PROSE.search(node.value):
        return repr("XX" + node.value)
    return None


def _negation(node: ast.UnaryOp) -> str | None:
    if isinstance(node.op, ast.Not | ast.USub):
        return f"({ast.unparse(node.operand)})"
    return None


def _augmented(node: ast.AugAssign) -> str | None:
    new = OPERATORS.get(type(node.op))
    return new and f"{ast.unparse(node.target)} {new}= {ast.unparse(node.value)}"


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_for_checkers(node: ast.AST) -> bool:
    """Tell whether only type checkers read a statement: an overload, `if TYPE_CHECKING`."""
    if isinstance(node, ast.FunctionDef):
        return any(ast.unparse(name).endswith("overload") for name in node.decorator_list)
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _result(node: ast.Return) -> str | None:
    # None is as false as False, which the change to True covers.
    is_false = isinstance(node.value, ast.Constant) and node.value.value in (None, False)
    return None if node.value is None or is_false else "return None"


_KINDS: dict[type, Callable] = {
    ast.Compare: _comparison,
    ast.BinOp: _operation,
    ast.AugAssign: _augmented,
    ast.BoolOp: _junction,
    ast.Constant: _constant,
    ast.UnaryOp: _negation,
    ast.Expr: lambda _: "pass",
    ast.Return: _result,
    ast.Break: lambda _: "continue",
    ast.Continue: lambda _: "break",
}
