"""Measures jobs of many images end to end, from JPEG files to Parquet files, on one machine:

    cargo build --release -p hirescam-cli -p hirescam --features hirescam-cli/full --bins --example worker
    python benches/batch.py                                   # all of it: some hours on two cores
    python benches/batch.py --only throughput peer --networks resnet18 --images 500 --rounds 3
    python benches/batch.py --only memory --networks resnet18 --engines onnxruntime       # 20,000 images for each network and engine

It needs numpy and Pillow; `resnet18` also torch, torchvision and onnx, the peer pytorch-grad-cam; ONNX Runtime's library is that of the package onnxruntime. Linux only.
Each measurement prints a Markdown table:

- `throughput`: images a second of `hirescam batch run`, from the start of its process to its end, ÷ what the engine makes of the same network alone, from ready tensors, with the best
  batch and threads that it has (of several; `worker.rs` calls it). What the explaining model takes beyond the network is in it.
- `peer`: beside a loop of pytorch-grad-cam over a DataLoader that writes a NumPy file for each image, with its best workers and batch. Only the loop counts there, not the import.
- `memory`: the most memory while so many images are explained, by quarters of the images, ÷ that of the engine alone in one process, with the batch and the runs side by side in
  which it is fastest.
- `parallel`: two shards in two processes of one thread each ÷ one.
- `plan`: a list of so many images. `resume`: so many shards that are all done.

Networks are torchvision's ResNet-18 with random weights, and ONNX files with their `.toml` beside them. Rounds alternate; a number is a median, and in brackets stand the
smallest and the largest ratio of single rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator

ROOT = pathlib.Path(__file__).resolve().parents[1]
PHOTOS = [ROOT / "fixtures" / "photos" / f"{name}.png" for name in ("coffee", "chelsea")]
DIGITS = ROOT / "fixtures" / "digits-cnn.onnx"
RESNET = "resnet18"
SIDE = 224
DISTINCT = 500
"""So many images are made; more are links to these."""
BATCHES = (1, 2, 4, 8, 16, 32)
CORES = len(os.sched_getaffinity(0))
SECONDS = 4.0
"""How long each setting of an engine is tried."""


def environment() -> dict[str, str]:
    """With ONNX Runtime's library, where its package is there."""
    found = importlib.util.find_spec("onnxruntime")
    folder = pathlib.Path(found.submodule_search_locations[0]) / "capi" if found and found.submodule_search_locations else None
    libraries = [path for path in folder.glob("*onnxruntime.*") if "pybind" not in path.name] if folder else []
    return os.environ | ({"ORT_DYLIB_PATH": str(libraries[0])} if libraries else {})


class Bench:
    """What the measurements share."""

    def __init__(self, options: argparse.Namespace, folder: pathlib.Path) -> None:
        self.options, self.folder, self.environment = options, folder, environment()

    def images(self, count: int) -> pathlib.Path:
        """A folder of so many JPEG files of the size that photos of ImageNet have."""
        made = self.folder / f"images-{count}"
        if made.exists():
            return made
        from PIL import Image

        distinct = self.folder / "distinct"
        if not distinct.exists():
            distinct.mkdir()
            photos = [Image.open(path).convert("RGB").resize((1000, 750)) for path in PHOTOS]
            for i in range(DISTINCT):
                left, top = (7 * i) % 480, (5 * i) % 350
                photos[i % 2].crop((left, top, left + 500, top + 375)).save(distinct / f"{i:05}.jpg", quality=90)
        made.mkdir()
        for i in range(count):
            os.link(distinct / f"{i % DISTINCT:05}.jpg", made / f"{i:06}.jpg")
        return made

    def network(self, name: str) -> pathlib.Path:
        if name != RESNET:
            return pathlib.Path(name).resolve()
        path = self.folder / f"{RESNET}.onnx"
        if not path.exists():
            import torch
            import torchvision

            torch.manual_seed(1)
            net = torchvision.models.resnet18().eval()
            free = {"input": {0: "N"}, "scores": {0: "N"}}
            torch.onnx.export(net, torch.zeros(1, 3, SIDE, SIDE), path, dynamo=False, input_names=["input"], output_names=["scores"], dynamic_axes=free)
        return path

    def plan(self, network: pathlib.Path, inputs: pathlib.Path, engine: str, shard_size: int = 1000) -> pathlib.Path:
        """A planned job; its folder."""
        out = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        preprocess = "" if network.with_suffix(".toml").exists() else 'preprocess = "imagenet"\n'
        job = f"model = {str(network)!r}\ninputs = [{str(inputs)!r}]\nout = 'out'\nshard_size = {shard_size}\n[spec]\n{preprocess}engine.name = '{engine}'\n"
        (out / "job.toml").write_text(job)
        self.call("batch", "plan", out / "job.toml")
        return out / "out"

    def command(self, *arguments: object) -> list[str]:
        return [str(self.options.program), *map(str, arguments)]

    def call(self, *arguments: object) -> float:
        """How long a command takes, in seconds."""
        start = time.perf_counter()
        done = subprocess.run(self.command(*arguments), env=self.environment, capture_output=True, text=True)
        took = time.perf_counter() - start
        if done.returncode:
            raise SystemExit(f"{' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return took

    def run(self, network: pathlib.Path, images: pathlib.Path, engine: str, count: int) -> float:
        """Images a second of a whole job."""
        out = self.plan(network, images, engine)
        took = self.call("batch", "run", out)
        shutil.rmtree(out.parent)
        return count / took


class Engine:
    """An engine that runs a network again and again in processes of its own, side by side: `streams` processes with `threads` each, which make `runs` side by side with `batch` images each."""

    def __init__(self, bench: Bench, network: pathlib.Path, engine: str, batch: int, streams: int, threads: int, runs: int = 1) -> None:
        import numpy as np

        tensor = bench.folder / f"tensor-{batch}.npy"
        if not tensor.exists():
            np.save(tensor, np.random.default_rng(0).standard_normal((batch, 3, SIDE, SIDE), np.float32))
        command = [str(bench.options.worker), str(network), "input", str(tensor), engine, str(threads), "cpu"]
        self.batch, self.call = batch * runs, f"inference {runs}\n"
        self.setting = f"batch {batch}, {streams * runs} × {threads} threads"
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=bench.environment) for _ in range(streams)
        ]

    def rate(self, seconds: float) -> float:
        """Images a second."""
        made, end = [0] * len(self.processes), time.perf_counter() + seconds

        def work(number: int) -> None:
            while time.perf_counter() < end:
                self.once(number)
                made[number] += self.batch

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(made))]
        start = time.perf_counter()
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        return sum(made) / (time.perf_counter() - start)

    def once(self, number: int = 0) -> dict[str, int]:
        process = self.processes[number]
        assert process.stdin and process.stdout
        process.stdin.write(self.call)
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            assert process.stdin
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            process.wait()


def settings(batches: tuple[int, ...]) -> Iterator[tuple[int, int, int]]:
    for batch in batches:
        yield batch, 1, CORES
        if CORES > 1:
            yield batch, CORES, 1


def best(bench: Bench, network: pathlib.Path, engine: str) -> tuple[int, int, int]:
    """The setting in which the engine is fastest."""
    rates = {}
    for setting in settings(bench.options.batches):
        try:
            with Engine(bench, network, engine, *setting) as runs:
                [runs.once(number) for number in range(len(runs.processes))]
                rates[setting] = runs.rate(bench.options.seconds)
        except (json.JSONDecodeError, BrokenPipeError):
            # The network takes no batch of this size.
            continue
        print(f"    {network.stem}, {engine}, {runs.setting}: {rates[setting]:.1f} images/s", file=sys.stderr, flush=True)
    return max(rates, key=lambda setting: rates[setting])


def table(*names: str) -> None:
    print("| " + " | ".join(names) + " |\n|" + "---|" * len(names), flush=True)


def row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def ratio(pairs: list[tuple[float, float]]) -> str:
    ratios = [a / b for a, b in pairs]
    return f"{statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def median(values: list[float]) -> str:
    return f"{statistics.median(values):.1f}"


def rounds(number: int, *calls: Callable[[], float]) -> list[tuple[float, ...]]:
    """What the calls give, one after the other, so often; the first time warms up and does not count."""
    return [tuple(call() for call in calls) for _ in range(number + 1)][1:]


def throughput(bench: Bench) -> None:
    table("network", "engine", "images", "end to end, images/s", "engine alone, images/s", "at", "ratio")
    for name in bench.options.networks:
        for engine in bench.options.engines:
            network, count = bench.network(name), bench.options.images
            images = bench.images(count)
            with Engine(bench, network, engine, *best(bench, network, engine)) as alone:
                seconds = max(SECONDS, bench.options.seconds)
                pairs = rounds(bench.options.rounds, lambda: bench.run(network, images, engine, count), lambda: alone.rate(seconds))
            row(network.stem, engine, count, median([a for a, _ in pairs]), median([b for _, b in pairs]), alone.setting, ratio(pairs))


def peer(bench: Bench) -> None:
    network, count = bench.network(RESNET), bench.options.images
    images = bench.images(count)

    def loop(workers: int, batch: int, number: int) -> float:
        with tempfile.TemporaryDirectory(dir=bench.folder) as out:
            command = [sys.executable, __file__, "--loop", str(images), out, str(workers), str(batch), str(number)]
            return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    few = min(count, 96)
    tried = {(workers, batch): loop(workers, batch, few) for workers in range(CORES + 1) for batch in (1, 8, 32)}
    for (workers, batch), rate in tried.items():
        print(f"    pytorch-grad-cam, {workers} workers, batch {batch}: {rate:.1f} images/s", file=sys.stderr, flush=True)
    workers, batch = max(tried, key=lambda setting: tried[setting])
    table("network", "engine", "images", "hirescam, images/s", "pytorch-grad-cam, images/s", "with", "ratio")
    for engine in bench.options.engines:
        pairs = rounds(bench.options.rounds, lambda: bench.run(network, images, engine, count), lambda: loop(workers, batch, count))
        row(RESNET, engine, count, median([a for a, _ in pairs]), median([b for _, b in pairs]), f"{workers} workers, batch {batch}", ratio(pairs))


def the_loop(images: str, out: str, workers: str, batch: str, count: str) -> None:
    """The peer's own process: HiResCAM of so many images, each a NumPy file. Prints images a second."""
    import numpy as np
    import torch
    import torchvision
    from PIL import Image
    from pytorch_grad_cam import HiResCAM
    from torchvision import transforms

    steps = [transforms.Resize(256), transforms.CenterCrop(SIDE), transforms.ToTensor(), transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])]
    prepare = transforms.Compose(steps)
    paths = sorted(pathlib.Path(images).iterdir())[: int(count)]

    class Photos(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
            return prepare(Image.open(paths[number]).convert("RGB")), number

    torch.manual_seed(1)
    net = torchvision.models.resnet18().eval()
    with HiResCAM(net, [net.layer4]) as cam:
        cam(torch.zeros(1, 3, SIDE, SIDE), targets=None)
        start = time.perf_counter()
        for tensors, numbers in torch.utils.data.DataLoader(Photos(), batch_size=int(batch), num_workers=int(workers)):
            for number, heatmap in zip(numbers, cam(tensors, targets=None)):
                np.save(f"{out}/{int(number):06}.npy", heatmap)
        print(len(paths) / (time.perf_counter() - start))


def resident(process: int) -> dict[str, float]:
    """Memory now and the most so far, in MiB."""
    with contextlib.suppress(OSError):
        lines = pathlib.Path(f"/proc/{process}/status").read_text().splitlines()
        return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return {}


def memory(bench: Bench) -> None:
    table("network", "engine", "images", "most by quarters of the images, MiB", "most, MiB", "engine alone, MiB", "at", "ratio")
    for name in bench.options.networks:
        for engine in bench.options.engines:
            network, count = bench.network(name), bench.options.many
            images = bench.images(count)
            batch, streams, threads = best(bench, network, engine)
            with Engine(bench, network, engine, batch, 1, threads, runs=streams) as alone:
                alone.rate(bench.options.seconds)
                own = alone.once()["peak"] / 1024
            out = bench.plan(network, images, engine, shard_size=max(1, count // 40))
            process = subprocess.Popen(bench.command("batch", "run", out), env=bench.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            quarters, most = [0.0] * 4, 0.0
            while process.poll() is None:
                now = resident(process.pid)
                if len(now) == 2:
                    done = len(list((out / "receipts").glob("*.json")))
                    quarters[min(3, done // 10)] = max(quarters[min(3, done // 10)], now["VmRSS"])
                    most = max(most, now["VmHWM"])
                time.sleep(0.1)
            assert process.returncode == 0, f"it ended with {process.returncode}"
            shutil.rmtree(out.parent)
            row(network.stem, engine, count, " ".join(f"{mib:.0f}" for mib in quarters), f"{most:.0f}", f"{own:.0f}", alone.setting, f"{most / own:.2f}")


def parallel(bench: Bench) -> None:
    table("network", "engine", "images a shard", "one shard, s", "two at once, s", "two ÷ one, of throughput")
    for name in bench.options.networks:
        for engine in bench.options.engines:
            network, count = bench.network(name), bench.options.images // 2
            images = bench.images(2 * count)

            def shards(number: int) -> float:
                out = bench.plan(network, images, engine, shard_size=count)
                alone = bench.environment | {"RAYON_NUM_THREADS": "1"}
                start = time.perf_counter()
                commands = [bench.command("batch", "run", out, "--shard", k, "--threads", 1) for k in range(number)]
                running = [subprocess.Popen(command, env=alone, stdout=subprocess.DEVNULL) for command in commands]
                assert all(process.wait() == 0 for process in running)
                took = time.perf_counter() - start
                shutil.rmtree(out.parent)
                return took

            pairs = rounds(bench.options.rounds, lambda: shards(1), lambda: shards(2))
            row(network.stem, engine, count, median([a for a, _ in pairs]), median([b for _, b in pairs]), ratio([(2 * a, b) for a, b in pairs]))


def watched(bench: Bench, *arguments: object) -> tuple[float, float]:
    """How long a command takes, in seconds, and the most memory that it has, in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen(bench.command(*arguments), env=bench.environment, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{arguments}: {process.returncode}"
    return time.perf_counter() - start, used.ru_maxrss / 1024


def plan(bench: Bench) -> None:
    table("images in a list", "s", "MiB")
    count = bench.options.listed
    listed, out = bench.folder / "list.csv", pathlib.Path(tempfile.mkdtemp(dir=bench.folder))
    with listed.open("w") as file:
        file.write("path\n")
        file.writelines(f"s3://bucket/of/photos/{i % 1000:03}/photo-{i:09}.jpg\n" for i in range(count))
    (out / "job.toml").write_text(f"model = '{DIGITS}'\ninputs = [{{ path = '{listed}', column = 'path' }}]\nout = 'out'\n")
    took, most = watched(bench, "batch", "plan", out / "job.toml")
    row(f"{count:,}", f"{took:.1f}", f"{most:.0f}")
    shutil.rmtree(out)


def resume(bench: Bench) -> None:
    table("shards, all done", "run again, s", "MiB", "status, s")
    count, photo = bench.options.shards, ROOT / "fixtures" / "photos" / "seven.png"
    images = bench.folder / "digits"
    images.mkdir()
    (images / "first.png").write_bytes(photo.read_bytes())
    for i in range(count - 1):
        os.link(images / "first.png", images / f"{i:06}.png")
    out = bench.plan(DIGITS, images, "tract", shard_size=1)
    bench.call("batch", "run", out)
    took, most = watched(bench, "batch", "run", out)
    row(f"{count:,}", f"{took:.1f}", f"{most:.0f}", f"{watched(bench, 'batch', 'status', out)[0]:.1f}")
    shutil.rmtree(out.parent)


MEASUREMENTS = {"throughput": throughput, "peer": peer, "memory": memory, "parallel": parallel, "plan": plan, "resume": resume}


def main() -> None:
    if sys.argv[1:2] == ["--loop"]:
        return the_loop(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS), help="what is measured")
    parser.add_argument("--networks", nargs="+", default=[RESNET, str(ROOT / "fixtures" / "efficientnet-lite0.onnx")], help=f"{RESNET}, or ONNX files with images of {SIDE} × {SIDE}")
    parser.add_argument("--engines", nargs="+", default=["onnxruntime", "tract"])
    parser.add_argument("--images", type=int, default=1000, help="of a run")
    parser.add_argument("--many", type=int, default=20_000, help="for memory")
    parser.add_argument("--listed", type=int, default=1_000_000, help="for the plan")
    parser.add_argument("--shards", type=int, default=10_000, help="for resuming")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES), help="in which the engine alone is tried")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each of them is tried")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "target" / "release" / "hirescam")
    parser.add_argument("--worker", type=pathlib.Path, default=ROOT / "target" / "release" / "examples" / "worker")
    parser.add_argument("--folder", type=pathlib.Path, help="where files are made and removed; on the disk that is meant")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        print(f"{CORES} cores, {platform.machine()}; {options.rounds} rounds.")
        for name in options.only:
            print(f"\n### {name}\n", flush=True)
            MEASUREMENTS[name](Bench(options, pathlib.Path(folder)))


if __name__ == "__main__":
    main()
