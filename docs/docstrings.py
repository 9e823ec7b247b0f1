"""Reads the docstrings of the package: prose, and items `name: meaning` of parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection

import griffe

_ITEM = re.compile(r"([A-Za-z]\w*(?:, [A-Za-z]\w*)*): (.*)")


def parse(docstring: str, names: Collection[str]) -> tuple[str, dict[str, str]]:
    """Return the prose of a docstring, and the meaning of each parameter that it describes.

    names: of the parameters; a line that begins with others is prose. An item continues on
        indented lines, and may describe several parameters (`width, dropout: …`).
    """
    prose: list[str] = []
    meanings: dict[str, str] = {}
    current: list[str] = []
    for line in inspect.cleandoc(docstring).splitlines():
        item = _ITEM.fullmatch(line)
        if item and set(item[1].split(", ")) <= set(names):
            current = item[1].split(", ")
            meanings |= dict.fromkeys(current, item[2])
        elif current and line.startswith("    "):
            meanings |= {name: f"{meanings[name]} {line.strip()}" for name in current}
        else:
            current = []
            prose.append(line)
    return re.sub(r"\n{3,}", "\n\n", "\n".join(prose)).strip(), meanings


class Items(griffe.Extension):
    """Lets mkdocstrings show the items as a table: rewrites them in the style of Google."""

    def on_object(self, *, obj: griffe.Object, **kwargs: object) -> None:
        if obj.docstring is None or obj.is_alias:
            return
        function = obj if obj.is_function else obj.members.get("__init__")
        if isinstance(function, griffe.Function):
            title, names = "Args", {parameter.name for parameter in function.parameters}
        else:
            title, names = "Attributes", {name for name in obj.members if name.isidentifier()}
        prose, meanings = parse(obj.docstring.value, names)
        if meanings:
            items = "".join(f"\n    {name}: {meaning}" for name, meaning in meanings.items())
            obj.docstring.value = f"{prose}\n\n{title}:{items}"
