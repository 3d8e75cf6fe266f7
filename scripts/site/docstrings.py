"""Docstrings on their way to the site, an extension of griffe: examples become blocks of code, and what is native, which has its types in a stub and its
words in Rust, gets these."""

import importlib
import inspect
import re
from functools import reduce
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?:^>>> .*\n?(?:^(?!>>> )[^\n]+\n?)*)+", re.MULTILINE)
NATIVE = "hirescam._hirescam"


def with_fences(text: str) -> str:
    return EXAMPLE.sub(lambda found: f"```python\n{found[0].rstrip()}\n```\n", text)


class Docstrings(griffe.Extension):
    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.path.startswith(NATIVE + ".") and not obj.docstring and not obj.name.startswith("_"):
            thing = reduce(getattr, obj.path.removeprefix(NATIVE + ".").split("."), importlib.import_module(NATIVE))
            if words := inspect.getdoc(thing):
                obj.docstring = griffe.Docstring(words, parent=obj)
        if obj.docstring:
            obj.docstring.value = with_fences(obj.docstring.value)
