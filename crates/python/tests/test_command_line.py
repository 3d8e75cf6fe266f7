"""`python -m hirescam` is the command line."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import hirescam
import pytest


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "hirescam", *args], capture_output=True, text=True, timeout=120)


def test_commands_and_exit_codes(tmp_path: Path) -> None:
    version = run("--version")
    assert (version.returncode, version.stdout.strip()) == (0, f"hirescam {hirescam.__version__}")
    made = run("explain", "digits-cnn.onnx", "photos/seven.png", "--out", str(tmp_path), "--json")
    assert made.returncode == 0 and json.loads(made.stdout)["class"] == 7
    for code, args in [
        (0, ["--help"]),
        (2, ["explain"]),
        (2, ["layers", "digits-cnn.onnx", "--layr"]),
        (3, ["layers", "no/such.onnx"]),
        (1, ["explain", "digits-cnn.onnx", "photos/seven.png", "digits-cnn.toml", "--out", str(tmp_path / "b")]),
    ]:
        done = run(*args)
        assert done.returncode == code, (args, done.stderr)
    assert "--layer" in run("layers", "digits-cnn.onnx", "--layr").stderr


def test_the_console_script_is_the_same() -> None:
    script = Path(sys.executable).with_name("hirescam")
    if not script.exists():
        pytest.skip("the package is not installed with its scripts")
    done = subprocess.run([str(script), "presets"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == run("presets").stdout


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
def test_an_interrupt_ends_it(tmp_path: Path) -> None:
    args = ["explain", "efficientnet-lite0.onnx", "photos/chelsea.png", "--method", "rise", "--samples", "100000", "--out", str(tmp_path)]
    started = subprocess.Popen([sys.executable, "-m", "hirescam", *args], stderr=subprocess.DEVNULL)
    time.sleep(3)
    assert started.poll() is None
    started.send_signal(signal.SIGINT)
    assert started.wait(20) != 0
