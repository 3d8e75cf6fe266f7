"""The documentation as one site, in target/site: `python scripts/site/build.py`.

Needs `pip install -r scripts/site/requirements.txt ./crates/python`, and cargo. The pages are those of the repository, the tutorials its notebooks as they
were executed last. Made here are the reference of the command line (of what it says of itself), that of the Python package (of its docstrings) and
that of the Rust crates (by `cargo doc`). A link that leads nowhere is an error.

`--without-rust` leaves out what cargo makes.
"""

import argparse
import importlib
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import hirescam
import yaml
from docstrings import with_fences

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "target" / "site-pages"
PAGES = WORK / "pages"
SITE = ROOT / "target" / "site"
# What pages are made of and lead to, as it lies in the repository.
TAKEN = ["*.md", "LICENSE-*", "docs/**/*", "fixtures/README.md", "fixtures/*/README.md", "crates/python/README.md", "examples/python/*.ipynb", "examples/web/*", "experiments/study/study.toml"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--without-rust", action="store_true")
    options = parser.parse_args()
    shutil.rmtree(WORK, ignore_errors=True)
    for pattern in TAKEN:
        for file in sorted(ROOT.glob(pattern)):
            if file.is_file():
                put(file.relative_to(ROOT), file.read_bytes())
    made("reference/command-line.md", command_line())
    made("crates/hirescam/examples/index.md", examples())
    settings = yaml.safe_load((ROOT / "scripts/site/mkdocs.yml").read_text())
    nav = {name: entry for item in settings["nav"] if isinstance(item, dict) for name, entry in item.items()}
    nav["Tutorials"] += [str(file.relative_to(ROOT)) for file in sorted((ROOT / "examples/python").glob("*.ipynb"))]
    # A page that has no line yet comes last of those that it is among.
    placed = set(re.findall(r"docs/[\w/-]+\.md", str(nav)))
    nav["What comes out"] += sorted({str(file.relative_to(ROOT)) for file in ROOT.glob("docs/**/*.md")} - placed)
    [python] = [item["Python"] for item in nav["Reference"] if "Python" in item]
    python += list(python_pages())
    if options.without_rust:
        nav["Reference"][:] = [item for item in nav["Reference"] if "Rust" not in item]
    else:
        subprocess.run(["cargo", "doc", "--workspace", "--no-deps", "--locked"], cwd=ROOT, check=True, env={**os.environ, "RUSTDOCFLAGS": "-D warnings"})
        shutil.copytree(ROOT / "target/doc", PAGES / "rust", ignore=shutil.ignore_patterns(".lock"))
    (WORK / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False))
    subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", "mkdocs.yml"], cwd=WORK, check=True)
    if broken := list(broken_links()):
        sys.exit("links that lead nowhere:\n" + "\n".join(broken))


def broken_links() -> Iterator[str]:
    """Links of the finished site, those of notebooks among them, to files that are not there. Those of cargo's pages are cargo's own."""
    for page in sorted(SITE.rglob("*.html")):
        if page.is_relative_to(SITE / "rust"):
            continue
        for link in re.findall(r"<(?:a|img|script|link)\b[^>]*?\s(?:href|src)=[\"']?([^\"'\s>#?]+)", page.read_text()):
            target = page.parent / unquote(link)
            if not re.match(r"[a-z]+:|//|/", link) and not (target.is_file() or (target / "index.html").is_file()):
                yield f"{page.relative_to(SITE)}: {link}"


def put(path: Path | str, content: bytes) -> None:
    file = PAGES / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def made(path: str, text: str) -> None:
    put(path, text.encode())


def command_line() -> str:
    """What each command says of itself."""

    def help_of(*command: str) -> str:
        done = subprocess.run([sys.executable, "-m", "hirescam", *command, "--help"], capture_output=True, text=True, check=True)
        return f"```text\n{done.stdout.rstrip()}\n```\n"

    top = help_of()
    commands = re.findall(r"^  ([a-z]+) ", top.partition("Commands:\n")[2].partition("\n\n")[0], re.MULTILINE)
    parts = [f"## hirescam {command}\n\n{help_of(command)}" for command in commands if command != "help"]
    return "# Command line\n\nThe same from `hirescam --help`, and from `python -m hirescam`.\n\n" + "\n".join([top, *parts])


def examples() -> str:
    """The Rust programs on one page."""
    files = sorted((ROOT / "crates/hirescam/examples").glob("*.rs"))
    return "# Rust examples\n\n" + "\n".join(f"## {file.name}\n\n```rust\n{file.read_text()}```\n" for file in files)


def python_pages() -> list[dict[str, str]]:
    """A page for each public module, with all that is in its `__all__`."""
    names = ["hirescam", *(module.name for module in pkgutil.walk_packages(hirescam.__path__, "hirescam."))]
    pages = []
    for name in names:
        if any(part.startswith("_") for part in name.split(".")):
            continue
        try:
            module = importlib.import_module(name)
        except ImportError:
            # A drop-in for another library that is not installed.
            if not name.startswith("hirescam.compat"):
                raise
            continue
        things = [thing for thing in getattr(module, "__all__", ()) if documented(module, thing)]
        if not things:
            continue
        # What can go wrong comes last.
        things.sort(key=lambda thing: isinstance(found := getattr(module, thing), type) and issubclass(found, Exception))
        about = module.__doc__ or ""
        blocks = [f"::: {name}.{thing}\n" for thing in things]
        made(f"reference/{name}.md", "\n".join([f"# {name}", "", with_fences(about), "", *blocks]))
        pages.append({name: f"reference/{name}.md"})
    made("reference/options.md", OPTIONS)
    return [*pages, {"Options": "reference/options.md"}]


def documented(module: object, name: str) -> bool:
    thing = getattr(module, name)
    return callable(thing) and bool(thing.__doc__)


OPTIONS = """# Options

The keywords of `explain`, `explainer`, `compile` and the others, and the fields of `Spec`. Their defaults and all that they take are said by
`hirescam explain --help`, see [Command line](command-line.md).

## What is explained

::: hirescam._types.Options
    options: {show_root_heading: false, show_root_toc_entry: false, show_bases: false, heading_level: 3}

## How

::: hirescam._types.Common
    options: {show_root_heading: false, show_root_toc_entry: false, show_bases: false, heading_level: 3}
"""

if __name__ == "__main__":
    main()
