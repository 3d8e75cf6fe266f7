"""A study about the paper's question, from one command: `python experiments/study/run.py`.

Plans, builds and serves the study of `study.toml`, has simulated raters answer it over HTTP, and analyses their answers. Needs the program built with
`cargo build --release -p hirescam-cli --features study`, or another one as `--program`, and nothing of Python's but its own library.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from raters import Rater, Study

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RESULTS = ROOT / "docs" / "experiments"
PROGRAM = ROOT / "target" / "release" / "hirescam"
PREFERRED = "hirescam"

QUESTION = """Do people prefer HiResCAM's maps to Grad-CAM's, where the two differ? The paper asked that; its protocol is not known, and this one is ours: paired preference, blinded and
balanced ([docs/study.md](../study.md)).

**The raters here are simulated. Nobody was asked, and nothing on this page says what people prefer.** What it shows is that the whole way works, from the plan to the sentence for the paper, and that
the answer that was put in comes out: each simulated rater prefers HiResCAM with a probability that is known. They take part over HTTP, by the pages' own forms, all at the same time.

The network says of a scene of 64 × 64 pixels which of six shapes it shows, and flattens its last layer of 8 × 8 places before one fully connected layer (`fixtures/scenes/network.py`); there the gradient differs from place to
place. It was trained briefly, and knows crosses, rings and stars better than the other three. The scenes are those of `fixtures/scenes`, which the network has not seen. To ask people, serve the same folder to them."""


def said(program: Path, *arguments: str | Path) -> str:
    """What a command says; its errors end it all."""
    done = subprocess.run([program, *arguments], cwd=ROOT, text=True, stdout=subprocess.PIPE)
    # 1 says that something of many failed.
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(map(str, arguments))}: exit code {done.returncode}")
    return done.stdout.strip()


class Served:
    """A study that is served on loopback while the block runs."""

    def __init__(self, program: Path, study: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.command = [program, "study", "serve", study, "--listen", f"127.0.0.1:{free.getsockname()[1]}"]
        self.lines: list[str] = []

    def __enter__(self) -> str:
        self.process = subprocess.Popen(self.command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        threading.Thread(target=self._read, daemon=True).start()
        until = time.monotonic() + 30
        while time.monotonic() < until and self.process.poll() is None:
            for line in list(self.lines):
                # The raters' address; the owner's has a token, or a path of its own.
                found = re.search(r"http://[\w.:\[\]]+\d(/[^\s]*)?", line)
                if found and not re.search("owner|token", line):
                    return found.group(0)
            time.sleep(0.05)
        self.__exit__()
        raise SystemExit("the server said no address: " + " ".join(self.lines))

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.append(line.rstrip())

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()


def simulated(file: Path) -> None:
    """Says of all raters that they are simulated, which the server cannot know: reports say so then."""
    answers = json.loads(file.read_text())
    for rater in answers["raters"]:
        rater["source"] = "simulated"
    file.write_text(json.dumps(answers) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the simulated raters")
    parser.add_argument("--raters", type=int, help="how many take part; as many as the study needs where nothing is said")
    parser.add_argument("--program", type=Path, default=PROGRAM)
    parser.add_argument("--work", type=Path, help="a folder for the study itself, which is kept; a temporary one where nothing is said")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the page and its data go")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        study, key_file, design = work / "study", work / "study-key.json", HERE / "study.toml"
        parts = [("What it costs, and its power", said(options.program, "study", "plan", design))]
        parts.append(("What was built", said(options.program, "study", "build", design, "-o", study).replace(f"{work}/", "")))
        manifest, key = (json.loads(path.read_text()) for path in (study / "manifest.json", key_file))
        needed = int(re.search(r"raters that it takes: (\d+)", parts[-1][1]).group(1))
        count = options.raters or needed
        known = Study(manifest, key, PREFERRED)
        with Served(options.program, study) as address, ThreadPoolExecutor(count) as at_once:
            began = time.monotonic()
            raters = [Rater(known, f"{options.seed} {number}") for number in range(count)]
            answered = list(at_once.map(lambda rater: rater.take_part(address), raters))
        assume = known.assume
        parts.append((
            "Who answered",
            f"{count} simulated raters gave {sum(answered)} answers in {time.monotonic() - began:.0f} seconds, over HTTP, all at once. "
            f"Each prefers HiResCAM with a probability of {known.effect} for the mean rater and item; raters deviate from it by {assume['rater_sd']} logits and items by {assume['item_sd']}; "
            f"{assume['neither']:.0%} of answers are \"no difference\", and {assume['lapse']:.0%} are given by chance.",
        ))  # fmt: skip
        answers, results = work / "answers", work / "results"
        parts.append(("What was stored", said(options.program, "study", "export", study, "-o", answers).replace(f"{work}/", "")))
        simulated(answers / "answers.json")
        # With fewer raters than places the study has not ended, and the report says so.
        early = ["--early"] if count < needed else []
        parts.append(("What came of it", said(options.program, "study", "results", study, "--key", key_file, "--answers", answers / "answers.json", "-o", results, *early).replace(f"{work}/", "")))
        write(options, parts, results, count)


def write(options: argparse.Namespace, parts: list[tuple[str, str]], results: Path, count: int) -> None:
    """The page, and the report beside it."""
    page = ["# HiResCAM against Grad-CAM, by simulated raters", QUESTION]
    for title, text in parts:
        page += [f"## {title}", text if title == "Who answered" else f"```\n{text}\n```"]
    folder = options.out / "study"
    folder.mkdir(parents=True, exist_ok=True)
    kept = [shutil.copy(file, folder / file.name) for file in sorted(results.glob("*.html")) + sorted(results.glob("*.json"))]
    if kept:
        page.append("The whole report: " + ", ".join(f"[{Path(file).name}](study/{Path(file).name})" for file in kept) + ".")
    command = f"python experiments/study/run.py --seed {options.seed}" + (f" --raters {count}" if options.raters else "")
    version = said(options.program, "--version")
    page += ["## How to repeat it", f"```\ncargo build --release -p hirescam-cli --features study\n{command}\n```", f"Versions: {version}, python {platform.python_version()}."]
    (options.out / "study.md").write_text("\n\n".join(page) + "\n")
    print("\n\n".join(text for _, text in parts))


if __name__ == "__main__":
    main()
