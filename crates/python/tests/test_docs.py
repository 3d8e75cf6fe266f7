"""The examples in the documentation are true."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import re
from types import ModuleType
from typing import Any

import hirescam
import hirescam.__main__
import hirescam.arrow
import hirescam.batch
import hirescam.methods
import hirescam.metrics
import hirescam.ray
import hirescam.spark
import pytest
from conftest import FIXTURES

MODULES = [hirescam, hirescam.batch, hirescam.methods, hirescam.metrics, hirescam.ray, hirescam.spark, hirescam.__main__]
if importlib.util.find_spec("pyarrow"):
    MODULES.append(hirescam.arrow)
PARSER = doctest.DocTestParser()


def documented() -> list[tuple[str, str]]:
    """All that has a documentation, and that: modules, classes, functions and what classes have."""
    found: dict[str, str] = {}

    def look(name: str, thing: Any) -> None:
        if text := inspect.getdoc(thing):
            found[name] = text

    for module in MODULES:
        look(module.__name__, module)
        for name in module.__all__:
            thing = getattr(module, name)
            if isinstance(thing, (str, ModuleType)):
                continue
            look(f"{module.__name__}.{name}", thing)
            if inspect.isclass(thing):
                for member, value in vars(thing).items():
                    look(f"{module.__name__}.{name}.{member}", value)
    return sorted(found.items())


EXAMPLES = [(name, text) for name, text in documented() if ">>>" in text]


@pytest.mark.parametrize("name, text", EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_examples_are_true(name: str, text: str) -> None:
    test = PARSER.get_doctest(text, {"hirescam": hirescam}, name, None, 0)
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).run(test, out=said.append)
    assert not said, "".join(said)


def test_the_readmes_program_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    readme = FIXTURES.parent / "README.md"
    if not readme.exists():
        pytest.skip("the fixtures lie elsewhere than in the repository")
    monkeypatch.chdir(FIXTURES.parent)
    (program,) = re.findall(r"```python\n(import hirescam\n.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    exec(program, {})
    assert "espresso" in capsys.readouterr().out


def test_everything_public_is_documented() -> None:
    names = {name for name, _ in documented()}
    for module in MODULES:
        for name in module.__all__:
            thing = getattr(module, name)
            if isinstance(thing, (str, ModuleType)):
                continue
            assert f"{module.__name__}.{name}" in names
            if inspect.isclass(thing):
                public = [member for member in vars(thing) if not member.startswith("_")]
                plain = [member for member in public if not isinstance(vars(thing)[member], (str, int, tuple, type(None)))]
                missing = [member for member in plain if f"{module.__name__}.{name}.{member}" not in names]
                assert not missing, f"{name}: {missing}"
