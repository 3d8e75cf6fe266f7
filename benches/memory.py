"""Memory of an evaluation by its number of images: `python benches/memory.py [--program target/release/hirescam]`. Linux only.

    cargo build --release -p hirescam-cli --features evaluate

Each evaluation explains so many 28 × 28 images by fixtures/digits-cnn.onnx with two methods and four metrics, in a process of its own. Printed is the most memory
that it held while images were explained, before its last part of rows was written, and the most of all, with the report, in MiB.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
METRICS = "energy-pointing-game,iou,entropy,completeness-residual"


def status(process: int) -> dict[str, int]:
    """Memory now and the most so far, in MiB."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    return {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}


def measured(program: Path, folder: Path, count: int) -> tuple[int, int]:
    photos = [(ROOT / "fixtures" / "photos" / f"{name}.png").read_bytes() for name in ("three", "seven")]
    rows = ["image,class,left,top,right,bottom"]
    for i in range(count):
        (folder / f"{i:05}.png").write_bytes(photos[i % 2])
        rows.append(f"{i:05}.png,{(3, 7)[i % 2]},{2 + i % 5},4,20,22")
    (folder / "truth.csv").write_text("\n".join(rows) + "\n")
    out = folder / "out"
    command = [program, "evaluate", ROOT / "fixtures" / "digits-cnn.onnx", folder / "truth.csv", "--engine", "tract", "--metrics", METRICS, "-o", out]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seen: list[tuple[int, dict[str, int]]] = []
    while process.poll() is None:
        now = status(process.pid)
        if len(now) == 2:
            seen.append((len(list(out.glob("rows/part-*"))), now))
        time.sleep(0.05)
    assert process.returncode == 0, f"it ended with {process.returncode}"
    last = max(parts for parts, _ in seen)
    return max(now["VmRSS"] for parts, now in seen if parts < last), max(now["VmHWM"] for _, now in seen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[500, 2500, 5000])
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "release" / "hirescam")
    options = parser.parse_args()
    print("| images | while they are explained, MiB | with the report, MiB |\n|---|---|---|")
    for count in options.images:
        with tempfile.TemporaryDirectory() as folder:
            explained, all_ = measured(options.program, Path(folder), count)
        print(f"| {count} | {explained} | {all_} |", flush=True)


if __name__ == "__main__":
    main()
