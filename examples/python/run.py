"""Executes the tutorials in this folder: `python examples/python/run.py [NAME ...]`.

Each runs in a kernel of its own and is written back with what it showed. With `--check` nothing is written, and it is an error where a tutorial fails
or says something else than what is kept (texts are compared, numbers in them to a hundredth; pictures are not). Needs
`pip install -r examples/python/requirements.txt` and hirescam; no network and no other framework.
"""

import argparse
import math
import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent
NUMBER = re.compile(r"(?<![\w.])[-+]?\d+\.\d*(?:e[-+]?\d+)?|[-+]?\d+e[-+]?\d+")


def said(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """The texts that each cell shows."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [[out.get("text") or out.get("data", {}).get("text/plain", "") for out in cell.outputs] for cell in cells]


def same(one: list[str], other: list[str]) -> bool:
    """Whether texts are the same, but for the last digits of their numbers, which follow the processor."""
    texts = ["\n".join(texts) for texts in (one, other)]
    (words, numbers), (other_words, other_numbers) = ((NUMBER.sub("", text).split(), [float(n) for n in NUMBER.findall(text)]) for text in texts)
    close = [math.isclose(a, b, rel_tol=0.01, abs_tol=1e-4) for a, b in zip(numbers, other_numbers)]
    return words == other_words and len(numbers) == len(other_numbers) and all(close)


def executed(path: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(HERE)}})
    client.execute()
    for cell in notebook.cells:
        # When each was run is nobody's business.
        cell.metadata = {}
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "language_info": {"name": "python"}}
    return notebook


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true", help="write nothing, and compare")
    options = parser.parse_args()
    # Pictures go into the notebook, whatever the caller has them go to.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    failed = 0
    for path in sorted(HERE.glob("*.ipynb")):
        if options.names and not any(name in path.name for name in options.names):
            continue
        kept = nbformat.read(path, as_version=4)
        try:
            made = executed(path)
        except CellExecutionError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            failed += 1
            continue
        differing = [n for n, (a, b) in enumerate(zip(said(kept), said(made))) if not same(a, b)] if options.check else []
        for n in differing:
            print(f"{path.name}, code cell {n + 1}: it says\n{said(made)[n]}\nand not\n{said(kept)[n]}", file=sys.stderr)
        failed += bool(differing)
        if not options.check:
            nbformat.write(made, path)
        print(path.name, "differs" if differing else "ok")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
