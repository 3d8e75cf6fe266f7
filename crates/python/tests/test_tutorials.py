"""The tutorials run, and say what they are kept saying."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

for module in ("nbclient", "ipykernel", "matplotlib", "PIL", "onnxruntime"):
    pytest.importorskip(module, reason=f"{module} is not installed")

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "python"


@pytest.mark.parametrize("name", [path.name for path in sorted(EXAMPLES.glob("*.ipynb"))])
def test_tutorials_say_what_is_kept(name: str) -> None:
    done = subprocess.run([sys.executable, str(EXAMPLES / "run.py"), "--check", name], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
