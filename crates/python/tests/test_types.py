"""The types that are promised are those that there are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy", reason="mypy is not installed")
SETTINGS = str(Path(__file__).resolve().parents[1] / "pyproject.toml")
ALLOWED = str(Path(__file__).with_name("stubtest-allowed.txt"))

PROGRAM = """
from collections.abc import Iterator
from typing import Any
import hirescam
from hirescam.methods import gradcam_plus_plus
from typing_extensions import assert_type

net = hirescam.Network("digits-cnn.onnx", labels=["a", "b"])
assert_type(net.explain("photos/seven.png"), hirescam.Explanation)
assert_type(net.explain(b"", layer="relu2", class_=3, method="gradcam", engine="tract"), hirescam.Explanation)
assert_type(net.explain("photos/seven.png", top=3), Any)
assert_type(net.explain(["photos/seven.png"], errors="return"), Any)
assert_type(net.explain(iter(["photos/seven.png"])), Iterator[Any])
score: float = net.explain("photos/seven.png").score
verdict: str = net.explainer(target="contrast:1,2").explain("photos/seven.png").certificate.verdict
spec: hirescam.Spec = hirescam.Spec(method="gradcam", class_=[3, "b"], shape=(1, 3, 8, 8))
model: bytes = hirescam.strip(net.compile(spec=spec))
hirescam.Spec({wrong})
"""


def mypy(*args: str, at: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *args], capture_output=True, text=True, cwd=at)


def test_stubs_have_what_the_package_has(tmp_path: Path) -> None:
    # What is allowed depends on what is installed beside the package.
    options = ["--mypy-config-file", SETTINGS, "--allowlist", ALLOWED, "--ignore-unused-allowlist"]
    done = mypy("mypy.stubtest", "hirescam", *options, at=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_package_itself_passes(tmp_path: Path) -> None:
    done = mypy("mypy", "--config-file", SETTINGS, "-p", "hirescam", at=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("wrong, said", [("", None), ("layr='relu2'", "layr"), ("top='many'", "top"), ("score='both'", "score")])
def test_programs_are_checked(wrong: str, said: str | None, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.replace("{wrong}", wrong))
    done = mypy("mypy", "--strict", "program.py", at=tmp_path)
    assert (done.returncode == 0) == (said is None) and (said or "") in done.stdout, done.stdout + done.stderr
