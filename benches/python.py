"""Times calls from Python beside the same calls from Rust: `python benches/python.py [NETWORK.onnx ...]`.

In an environment with hirescam installed (`pip install ./crates/python onnxruntime`), after `cargo build --release --example worker -p hirescam`; without networks,
those of the fixtures. For each network and engine, with one thread a run:

- **Python ÷ Rust**: `explainer.explain(tensor)` beside the same call in `benches/compare/worker.rs`, from the ready tensor to the raw map. The two are
  called in turn; the ratio is that of the medians, and in brackets is the middle half of the ratios of the single rounds.
- **two threads ÷ one**: how many calls of one explainer two threads of Python make in the time in which one makes one; one and two in turn. *Of a
  hash* is the same of SHA-256, which needs nothing but processors: what the machine has left for a second thread.
- **growth**: by how much the process's memory grows over the second half of so many calls, in KiB.

Before them, how much longer an interpreter takes that imports hirescam than one that imports numpy, in turn.

The result is a table for `docs/performance.md`.
"""

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import hirescam
import numpy as np
import onnxruntime

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = [ROOT / "fixtures" / name for name in ("digits-cnn.onnx", "efficientnet-lite0.onnx")]
SHORT = 0.2
"""Seconds that a round takes, at least: calls that are shorter are made several times."""

BLOCK = bytes(1 << 20)


class Worker:
    """The same calls from Rust, in a process of their own."""

    def __init__(self, program: Path, network: Path, tensor: np.ndarray, engine: str, folder: str) -> None:
        path = Path(folder) / "tensor.npy"
        np.save(path, tensor)
        command = [program, network, hirescam.Network(network).image.name, path, engine, "1", "cpu"]
        capi = Path(onnxruntime.__file__).parent / "capi"
        library = next(path for path in capi.glob("*onnxruntime.*") if "pybind" not in path.name)
        given = {"ORT_DYLIB_PATH": str(library)} | os.environ
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=given)

    def call(self) -> float:
        self.process.stdin.write("explain hirescam top:1\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["took"] / 1e9

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def took(call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def per_second(call, threads: int, seconds: float) -> float:
    """How many calls these threads make in a second."""
    made, end = [0] * threads, time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < end:
            call()
            made[number] += 1

    running = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    spent = took(lambda: ([one.start() for one in running], [one.join() for one in running]))
    return sum(made) / spent


def resident() -> int:
    """The process's memory, in KiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1024


def importing(rounds: int) -> str:
    """How much longer a new interpreter takes to import hirescam than to import numpy, in milliseconds."""

    def imports(package: str) -> float:
        return 1000 * took(lambda: subprocess.run([sys.executable, "-c", f"import {package}"], check=True))

    imports("hirescam")
    low, middle, high = statistics.quantiles([imports("hirescam") - imports("numpy") for _ in range(rounds)], n=4)
    return f"{middle:.0f} ms ({low:.0f}–{high:.0f})"


def ratio(pairs: list[tuple[float, float]]) -> str:
    whole = statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)
    first, _, last = statistics.quantiles([a / b for a, b in pairs], n=4)
    return f"{whole:.2f} ({first:.2f}–{last:.2f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", type=Path, default=NETWORKS)
    parser.add_argument("--worker", type=Path, default=ROOT / "target/release/examples/worker")
    parser.add_argument("--engines", nargs="*", default=["tract", "onnxruntime"])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--calls", type=int, default=10_000, help="for the growth; of a network that takes long, as many as a minute has")
    options = parser.parse_args()
    print(f"Measured with {os.cpu_count()} cores, Python {sys.version.split()[0]}, hirescam {hirescam.__version__}.\n")
    print(f"`import hirescam` beyond `import numpy`: {importing(options.rounds)}.\n")
    print("| network | engine | ms a call | Python ÷ Rust | two threads ÷ one | of a hash | growth, KiB | of calls |\n| --- | --- | --- | --- | --- | --- | --- | --- |")
    for network in options.networks:
        for engine in options.engines:
            net = hirescam.Network(network)
            tensor = np.random.default_rng(0).random([n or 1 for n in net.image.shape], np.float32)
            explainer = net.explainer(engine=engine, threads=1)
            with tempfile.TemporaryDirectory() as folder:
                worker = Worker(options.worker, network, tensor, engine, folder)
                for _ in range(3):
                    worker.call(), explainer.explain(tensor)
                often = max(1, int(SHORT / worker.call()))
                pairs = [
                    tuple(statistics.median(call() for _ in range(often)) for call in (lambda: took(lambda: explainer.explain(tensor)), worker.call))
                    for _ in range(options.rounds)
                ]
                worker.close()
            seconds = max(SHORT, 10 * pairs[0][0])
            per_second(lambda: explainer.explain(tensor), 2, seconds)
            threads, of_hash = [], []
            for _ in range(options.rounds):
                threads.append(tuple(per_second(lambda: explainer.explain(tensor), n, seconds) for n in (2, 1)))
                of_hash.append(tuple(per_second(lambda: hashlib.sha256(BLOCK), n, SHORT) for n in (2, 1)))
            calls = min(options.calls, int(60 / pairs[0][0]))
            [explainer.explain(tensor) for _ in range(calls // 2)]
            before = resident()
            for _ in range(calls - calls // 2):
                explainer.explain(tensor)
            milliseconds = 1000 * statistics.median(of_python for of_python, _ in pairs)
            print(f"| {network.stem} | {engine} | {milliseconds:.2f} | {ratio(pairs)} | {ratio(threads)} | {ratio(of_hash)} | {resident() - before} | {calls} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
