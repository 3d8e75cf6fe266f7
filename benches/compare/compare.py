"""Times hirescam beside the Python libraries for the same maps: same weights, same inputs, one call of each after the other.

    python3 benches/compare/compare.py                                    # everything (hours); run again, it goes on where it stopped
    python3 benches/compare/compare.py --networks resnet18 --short        # about three minutes
    python3 benches/compare/compare.py --only cost --networks vgg16 --again
    python3 benches/compare/compare.py --table docs/performance.md        # writes what was measured into the file
    python3 benches/compare/compare.py --device cuda --python PYTHON      # on a GPU of NVIDIA; the environment needs onnxruntime-gpu

It makes an environment of its own (target/compare-python, from requirements.txt), another for OpenVINO XAI (requirements-openvino.txt), and builds
the release binaries. Networks are torchvision's with random weights from a fixed seed, and fixtures/efficientnet-lite0.onnx. Each measurement is a
JSON file in target/compare, and is skipped where it is there already; in the end all that is there is printed as tables.

How it measures. All that is compared is ready and warm, then called in turn, in an order that changes from round to round, with a pause before each
call for threads to fall asleep. Our calls are timed inside a process of their own (`worker.rs`), the libraries' inside this one. Before anything is
timed the maps are compared. A ratio is that of two medians; its spread is the middle half of the ratios of the single rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterable

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
WORK = ROOT / "target" / "compare"
LITE0 = "efficientnet-lite0"
# The torch module whose output is explained: the last with extents of space.
LAYERS = {
    "resnet18": "layer4",
    "resnet50": "layer4",
    "vgg16": "features",
    "densenet121": "features",
    "mobilenet_v3_large": "features",
    "efficientnet_b0": "features",
    "convnext_tiny": "features",
    "inception_v3": "Mixed_7c",
    "r3d_18": "layer4",
    LITE0: "",
}
ENGINES = ["tract", "onnxruntime"]
# What goes on with a GPU, in the engine that has one.
ON_A_GPU = ["cost", "libraries", "classes", "together", "methods"]
# The methods of one run that are made at any layer.
ONE_RUN = "hirescam gradcam gradcam++ xgradcam layercam elementwise-gradcam eigencam eigengradcam gradient-x-input saliency".split()
SEED = 1
PAUSE = 0.02  # seconds
ALIKE = 1e-4  # of the largest cell
OTHER_MAPS = ("torch-cam", "PyTorch inference", "onnx-ad, whole network")  # what these give is not the map at the last layer


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=LAYERS, default=list(LAYERS), metavar="NAME", help=", ".join(LAYERS))
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, metavar="WHAT", help=", ".join(MEASUREMENTS))
    parser.add_argument("--threads", nargs="+", type=int, help="1 2, or 1 with --short")
    parser.add_argument("--batches", nargs="+", type=int, help="1 8, or 1 with --short")
    parser.add_argument("--seconds", type=float, help="about how long each comparison may take: 60, or 4 with --short")
    parser.add_argument("--rounds", nargs=2, type=int, metavar=("LEAST", "MOST"))
    parser.add_argument("--short", action="store_true", help="one thread, one image, few rounds; no perturbation methods")
    parser.add_argument("--again", action="store_true", help="measure also what was measured before")
    parser.add_argument("--python", help="an environment's python that has what requirements.txt lists, instead of an own one")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="cuda: PyTorch, its libraries and ONNX Runtime on a GPU of NVIDIA")
    parser.add_argument("--openvino-python", help="the same for requirements-openvino.txt")
    parser.add_argument("--no-build", action="store_true", help="the release binaries are there already")
    parser.add_argument("--table", metavar="FILE", help="measure nothing; write what was measured into this file")
    options = parser.parse_args()
    options.threads = options.threads or ([1] if options.short else [1, 2])
    options.batches = options.batches or ([1] if options.short else [1, 8])
    options.seconds = options.seconds or (4 if options.short else 60)
    options.rounds = options.rounds or ([5, 31] if options.short else [9, 101])
    options.only = options.only or [name for name in MEASUREMENTS if name != "methods" or not options.short]
    if options.device != "cpu":
        options.only = [name for name in options.only if name in ON_A_GPU]
    return options


def measured(device: str) -> pathlib.Path:
    """Where measurements on the device lie."""
    return WORK / ("measured" if device == "cpu" else f"measured-{device}")


# Calls.


class Worker:
    """A process that makes calls of one network in one engine with one number of threads: ours, or the program given."""

    def __init__(self, file: pathlib.Path, tensor: pathlib.Path, engine: str, threads: int, device: str = "cpu", program: list[pathlib.Path] | None = None):
        self.name = input_name(file)
        command = [*(program or [binary("examples/worker")]), file, self.name, tensor, engine, threads, device]
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment())

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_) -> None:
        self.process.stdin.close()
        self.process.wait()

    def call(self, line: str) -> dict:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker ended on {line!r}")
        return json.loads(answer)

    def timed(self, line: str) -> Callable[[], int]:
        return lambda: self.call(line)["took"]

    def map(self, line: str):
        """The maps that a call makes: of one class without the axis of classes."""
        import numpy as np

        with tempfile.TemporaryDirectory() as folder:
            self.call(line)
            self.call(f"save {folder}/map.npy")
            maps = np.load(f"{folder}/map.npy")
        return maps[:, 0] if maps.shape[1] == 1 else maps


def timed(call: Callable) -> Callable[[], int]:
    """How long a call takes in this process, in nanoseconds."""

    def clocked() -> int:
        start = time.perf_counter_ns()
        call()
        return time.perf_counter_ns() - start

    return clocked


def interleaved(calls: dict[str, Callable[[], int]], options: argparse.Namespace, warm: bool = True) -> dict[str, list[int]]:
    """Makes all calls in turn, and again; a first time without looking at the clock where `warm`."""
    begin = time.monotonic()
    for call in calls.values() if warm else []:
        call()
    times: dict[str, list[int]] = {name: [] for name in calls}
    least, most = options.rounds
    order = list(calls)
    for done in range(most):
        if done >= least and time.monotonic() - begin > options.seconds:
            break
        for name in order:
            time.sleep(PAUSE)
            times[name].append(calls[name]())
        order = order[1:] + order[:1] if done % 2 else order[::-1]
    return times


def binary(name: str) -> pathlib.Path:
    return ROOT / "target" / "release" / name


def environment() -> dict[str, str]:
    """ONNX Runtime from the environment that the libraries use: both sides run the same library."""
    import onnxruntime

    found = [str(path) for path in (pathlib.Path(onnxruntime.__file__).parent / "capi").glob("*onnxruntime.*") if "pybind" not in path.name]
    return {"ORT_DYLIB_PATH": found[0]} | os.environ


def workers(stack: contextlib.ExitStack, network: Network, options: argparse.Namespace, threads: int = 1, batch: int = 1) -> dict[str, Worker]:
    """Ours, of each engine that has the device."""
    engines = ENGINES if options.device == "cpu" else ["onnxruntime"]
    tensor = network.tensor(batch)
    return {engine: stack.enter_context(Worker(network.file, tensor, engine, threads, options.device)) for engine in engines}


def input_name(file: pathlib.Path) -> str:
    import onnx

    graph = onnx.load(file, load_external_data=False).graph
    return next(i.name for i in graph.input if i.name not in {t.name for t in graph.initializer})


# What is compared.


class Network:
    """An architecture with weights, its ONNX file and the names of the layers."""

    def __init__(self, name: str, device: str):
        import torch

        sys.path.insert(0, str(ROOT / "scripts"))
        import networks

        self.name = name
        WORK.mkdir(parents=True, exist_ok=True)
        if name == LITE0:
            import lite0

            self.file, self.size = ROOT / "fixtures" / f"{LITE0}.onnx", (3, 224, 224)
            self.net = lite0.read(str(self.file))
            self.layer = next(n for n, m in self.net.named_modules() if m is self.net.part("/_swish_1/Clip_output_0"))
        else:
            networks.NETWORKS.setdefault(name, networks.PLAIN)
            self.file, self.size = WORK / f"{name}.onnx", networks.shape(name, False)
            self.net = networks.build(name, SEED, self.size)
            self.layer = LAYERS[name]
            if not self.file.exists():
                networks.export(self.net, networks.image(SEED, self.size), "torchscript", 17, self.file)
        # On GPUs PyTorch convolves in TF32 unless told otherwise: too few bits for maps to agree.
        torch.backends.cudnn.allow_tf32 = False
        self.net.to(device)
        self.batch = lambda n: torch.cat([networks.image(100 + i, self.size) for i in range(n)]).to(device)
        self._values: tuple[str, str] | None = None

    def values(self) -> tuple[str, str]:
        """The names in the file of the last layer, which all explain, and of the deepest that can be explained."""
        import peers

        if self._values is None:
            text = subprocess.run([binary("hirescam"), "layers", self.file, "--json"], capture_output=True, text=True, check=True, env=environment()).stdout
            layers = [record for record in map(json.loads, text.splitlines()) if not record["error"]]
            names = [record["layer"] for record in layers]
            last = peers.layer_value(self.net, self.layer, self.batch(1), str(self.file), names)
            self._values = last, next(name for name in names if name != input_name(self.file))
        return self._values

    def tensor(self, batch: int) -> pathlib.Path:
        import numpy as np

        path = WORK / f"{self.name}-{batch}.npy"
        np.save(path, self.batch(batch).cpu().numpy())
        return path


def cost(network: Network, options: argparse.Namespace, threads: int, batch: int) -> dict:
    """What maps cost beside plain inference in the same engine."""
    last, deepest = network.values()
    calls = {"inference": "inference", "last": f"explain hirescam top:1 {last}", "deepest": f"explain hirescam top:1 {deepest}"}
    result = {"last": last, "deepest": deepest}
    with contextlib.ExitStack() as stack:
        for engine, worker in workers(stack, network, options, threads, batch).items():
            times = interleaved({name: worker.timed(line) for name, line in calls.items()}, options)
            result |= {f"{engine} {name}": t for name, t in times.items()}
    return result


def libraries(network: Network, options: argparse.Namespace, threads: int, batch: int) -> dict:
    """The libraries' maps at the last layer beside ours."""
    import numpy as np
    import peers
    import torch

    torch.set_num_threads(threads)
    x, last = network.batch(batch), network.values()[0]
    calls = {
        "pytorch-grad-cam": peers.pytorch_grad_cam(network.net, network.layer, x),
        "torch-cam": peers.torch_cam(network.net, network.layer, x),
        "captum": peers.captum(network.net, network.layer, x),
        "PyTorch inference": peers.torch_inference(network.net, x),
    }
    refused = {}
    onnx_ad = {
        "onnx-ad": lambda: peers.onnx_ad(str(network.file), last, x.cpu().numpy(), threads, options.device),
        "onnx-ad, whole network": lambda: peers.onnx_ad_whole(str(network.file), x.cpu().numpy(), threads, options.device),
    }
    for name, prepare in onnx_ad.items():
        try:
            call = prepare()
            call()
            calls[name] = call
        except Exception as error:  # a library may refuse a network in any way it likes
            refused[name] = f"{type(error).__name__}: {error}"[:200]
    ours = f"explain hirescam top:1 {last}"
    with contextlib.ExitStack() as stack:
        own = workers(stack, network, options, threads, batch)
        mine = {engine: worker.map(ours) for engine, worker in own.items()}
        truth = {name: call() for name, call in calls.items()}
        off = {f"{engine} / {name}": difference(m, truth[name]) for engine, m in mine.items() for name in truth if name not in OTHER_MAPS}
        # torch-cam's map is Grad-CAM's, rectified; ours is asked for the same.
        off |= {f"{e} / torch-cam": difference(np.maximum(w.map(f"explain gradcam top:1 {last}"), 0), truth["torch-cam"]) for e, w in own.items()}
        for pair, error in off.items():
            if not error <= ALIKE:
                print(f"    maps differ: {pair} by {error:.1e} of the largest cell", flush=True)
        every = {name: timed(call) for name, call in calls.items()} | {engine: worker.timed(ours) for engine, worker in own.items()}
        return interleaved(every, options) | {"differences": off, "refused": refused}


def difference(ours, theirs) -> float:
    """In the max norm, relative to the largest cell."""
    import numpy as np

    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-30))


def classes(network: Network, options: argparse.Namespace) -> dict:
    """Many classes of one image, one thread."""
    import peers
    import torch

    torch.set_num_threads(1)
    last, some = network.values()[0], list(range(20))
    of = lambda target: f"explain hirescam {target} {last}"
    lines = {"1": of("class:0"), "20": of(f"class:{','.join(map(str, some))}"), "best 20": of("top:20"), "inference": "inference"}
    if network.name == LITE0:
        lines["all"] = of("all")
    theirs = peers.pytorch_grad_cam(network.net, network.layer, network.batch(1), classes=some)
    with contextlib.ExitStack() as stack:
        own = workers(stack, network, options)
        off = {engine: difference(worker.map(lines["20"]), theirs()) for engine, worker in own.items()}
        calls = {f"{engine} {name}": worker.timed(line) for engine, worker in own.items() for name, line in lines.items()}
        return interleaved(calls | {"pytorch-grad-cam 20": timed(theirs)}, options) | {"differences": off}


def together(network: Network, options: argparse.Namespace) -> dict:
    """Ten methods at one layer by one run, and one of them alone, one thread."""
    last = network.values()[0]
    lines = {"one method": f"explain {ONE_RUN[0]} top:1 {last}", "ten methods": f"explain {','.join(ONE_RUN)} top:1 {last}"}
    with contextlib.ExitStack() as stack:
        own = workers(stack, network, options)
        return interleaved({f"{engine} {name}": worker.timed(line) for engine, worker in own.items() for name, line in lines.items()}, options)


def methods(network: Network, options: argparse.Namespace) -> dict:
    """Ablation-CAM and Score-CAM, one thread."""
    import peers
    import torch

    torch.set_num_threads(1)
    last, x = network.values()[0], network.batch(1)
    thrice = argparse.Namespace(seconds=0, rounds=[3, 3])
    result: dict = {"differences": {}}
    with contextlib.ExitStack() as stack:
        own = workers(stack, network, options)
        of = (network.net, network.layer, x)
        for name, theirs in {
            "ablationcam": peers.pytorch_grad_cam(*of, peers.AblationCAM),
            "scorecam": peers.pytorch_grad_cam_score_cam(*of),
        }.items():
            line = f"explain {name} top:1 {last}"
            ours = {engine: worker.map(line) for engine, worker in own.items()}
            kept = []
            calls = {f"pytorch-grad-cam {name}": timed(lambda: kept.append(theirs()))} | {f"{engine} {name}": worker.timed(line) for engine, worker in own.items()}
            result |= interleaved(calls, thrice, warm=False)
            result["differences"] |= {f"{engine} {name}": difference(made, kept[0]) for engine, made in ours.items()}
    return result


def threads(network: Network, options: argparse.Namespace) -> dict:
    """Eight images at once, by one thread and by two."""
    line, tensor = f"explain hirescam top:1 {network.values()[0]}", network.tensor(8)
    with contextlib.ExitStack() as stack:
        workers = {f"{e} {n}": stack.enter_context(Worker(network.file, tensor, e, n)) for e in ENGINES for n in (1, 2)}
        return interleaved({name: worker.timed(line) for name, worker in workers.items()}, options)


def memory(network: Network, options: argparse.Namespace) -> dict:
    """The most memory that a process ever had, in kB: with the network alone, and with the explainer alone. And how long either is in getting ready."""
    calls = {"inference": "inference", "last": f"explain hirescam top:1 {network.values()[0]}"}
    tensor = network.tensor(1)
    result: dict = {f"{engine} {what} {call}": [] for engine in ENGINES for what in ("peak", "ready") for call in calls}
    for _ in range(3 if options.short else 5):
        for engine in ENGINES:
            for name, line in calls.items():
                with Worker(network.file, tensor, engine, 1) as worker:
                    first = worker.call(line)
                    later = [worker.call(line) for _ in range(3)]
                # tract makes its plan in the first call: what that took beyond an ordinary one belongs to getting ready.
                ready = first["prepared"] + first["took"] - statistics.median(answer["took"] for answer in later)
                result[f"{engine} peak {name}"].append(later[-1]["peak"])
                result[f"{engine} ready {name}"].append(ready)
    return result


def cold(network: Network, options: argparse.Namespace) -> dict:
    """From the start of a process to a written picture."""
    import torch

    saved, photo = WORK / f"{LITE0}.pt", ROOT / "fixtures" / "photos" / "coffee.png"
    torch.save(network.net, saved)
    with tempfile.TemporaryDirectory() as folder:
        ours = [binary("hirescam"), "explain", network.file, photo, "--overwrite", "--out", folder, "--engine"]
        theirs = [sys.executable, HERE / "cold_start.py", saved, photo, f"{folder}/theirs.png"]
        run = lambda command: timed(lambda: subprocess.run([str(c) for c in command], check=True, capture_output=True, env=environment()))
        calls = {"tract": run([*ours, "tract"]), "onnxruntime": run([*ours, "onnxruntime"]), "pytorch-grad-cam": run(theirs)}
        return interleaved(calls, options)


def nodes(network: Network, options: argparse.Namespace) -> dict:
    """The operators that an explaining model has beyond the network's own."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        count = len(onnx.load(network.file).graph.node)
        return {"added": [node.op_type for node in onnx.load(explaining(network, folder)).graph.node[count:]]}


def explaining(network: Network, folder: str) -> pathlib.Path:
    """The network's explaining model at the last layer, written into the folder."""
    file = pathlib.Path(folder) / "explaining.onnx"
    command = [binary("hirescam"), "compile", network.file, "-o", file, "--layer", network.values()[0]]
    subprocess.run([str(c) for c in command], check=True, capture_output=True, env=environment())
    return file


def openvino(network: Network, options: argparse.Namespace) -> dict | None:
    """OpenVINO XAI's ReciproCAM beside ours, and our explaining model in OpenVINO; one thread. Nothing where OpenVINO XAI cannot be had."""
    try:
        python = python_with("requirements-openvino.txt", "compare-python-openvino", options.openvino_python)
        asked = "import openvino_xai; from importlib.metadata import version; print(version('openvino'), version('openvino-xai'))"
        found = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]
        print(f"    left out, for want of OpenVINO XAI: {reason}", flush=True)
        return None
    program, tensor, last = [python, HERE / "openvino_worker.py"], network.tensor(1), network.values()[0]
    hirescam, reciprocam = (f"explain {method} top:1 {last}" for method in ("hirescam", "reciprocam"))
    with contextlib.ExitStack() as stack:
        start = lambda *of: stack.enter_context(Worker(*of))
        file = explaining(network, stack.enter_context(tempfile.TemporaryDirectory()))
        theirs, deployed = (start(f, tensor, "openvino", 1, "cpu", program) for f in (network.file, file))
        ours = {engine: start(network.file, tensor, engine, 1) for engine in ENGINES}
        truth = theirs.map(reciprocam)
        off = {engine: difference(worker.map(reciprocam), truth) for engine, worker in ours.items()}
        off["explaining model"] = difference(ours["tract"].map(hirescam), deployed.map("inference"))
        calls = {
            "OpenVINO inference": theirs.timed("inference"),
            "OpenVINO XAI": theirs.timed(reciprocam),
            "explaining model": deployed.timed("inference"),
        }
        every = calls | {engine: worker.timed(reciprocam) for engine, worker in ours.items()}
        return interleaved(every, options) | {"differences": off, "versions": dict(zip(["openvino", "openvino-xai"], found))}


# What can be measured: the function, whether with all threads and batches, and of which networks.
MEASUREMENTS: dict[str, tuple[Callable, bool, Iterable[str]]] = {
    "cost": (cost, True, LAYERS),
    "libraries": (libraries, True, LAYERS),
    "classes": (classes, False, ["resnet18", "resnet50", "efficientnet_b0", "vgg16", LITE0]),
    "together": (together, False, ["resnet18", "resnet50", "efficientnet_b0", "vgg16", LITE0]),
    "methods": (methods, False, ["resnet18"]),
    "threads": (threads, False, [name for name in LAYERS if name != LITE0]),
    "memory": (memory, False, LAYERS),
    "cold": (cold, False, [LITE0]),
    "nodes": (nodes, False, LAYERS),
    "openvino": (openvino, False, ["resnet18", "mobilenet_v3_large"]),
}


def measure(options: argparse.Namespace) -> None:
    for name in options.networks:
        network = None
        for what in options.only:
            function, settings, of = MEASUREMENTS[what]
            if name not in of:
                continue
            # The file of EfficientNet-Lite0 has its batch of 1 baked in.
            batches = [1] if name == LITE0 else options.batches
            for setting in [(t, b) for t in options.threads for b in batches] if settings else [()]:
                path = measured(options.device) / name / f"{'-'.join([what, *map(str, setting)])}.json"
                if path.exists() and not options.again:
                    continue
                network = network or Network(name, options.device)
                print(f"{name}: {what} {' '.join(f'{n} {u}' for n, u in zip(setting, ('thread(s)', 'image(s)')))}", flush=True)
                found = function(network, options, *setting)
                if found is None:
                    continue
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps({"machine": machine(options.device, found.pop("versions", {})), "measured": found}, indent=1) + "\n")


def machine(device: str, versions: dict[str, str]) -> dict:
    """What it was measured on, and with which versions, of which some are given."""
    from importlib.metadata import PackageNotFoundError, version

    def installed(name: str) -> dict[str, str]:
        with contextlib.suppress(PackageNotFoundError):
            return {name: version(name)}
        return {}

    said = pathlib.Path("/proc/cpuinfo")
    cpu = next((line.split(":", 1)[1].strip() for line in said.read_text().splitlines() if line.startswith("model name")), "") if said.exists() else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0
    packages = ["torch", "torchvision", "grad-cam", "torchcam", "captum", "onnx-ad", "onnxruntime", "onnxruntime-gpu"]
    if device != "cpu":
        import torch

        cpu = f"{torch.cuda.get_device_name()} beside {cpu}"
    return {
        "cpu": cpu or platform.processor(),
        "cores": os.cpu_count(),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "versions": {name: v for package in packages for name, v in installed(package).items()} | versions | {"python": platform.python_version()},
    }


def python_with(requirements: str, folder: str, given: str | None) -> pathlib.Path:
    """The python of an environment with the requirements: the one given, else one in target/, made where it is not there."""
    if given:
        return pathlib.Path(given)
    home = ROOT / "target" / folder
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (home / "complete").exists():
        venv.create(home, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", HERE / requirements], check=True)
        (home / "complete").touch()
    return python


def require(device: str) -> None:
    """Ends where PyTorch or ONNX Runtime cannot compute on the device."""
    import onnxruntime
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("--device cuda: PyTorch finds no GPU of NVIDIA with a driver that fits")
    if device == "cuda" and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        sys.exit("--device cuda: this environment's onnxruntime has no CUDA; --python takes one with onnxruntime-gpu in its place")


def inside_environment(options: argparse.Namespace) -> None:
    """Starts over in the environment that has the libraries."""
    if os.environ.get("HIRESCAM_COMPARE") == "inside":
        return
    python = python_with("requirements.txt", "compare-python", options.python)
    if not options.no_build:
        subprocess.run(["cargo", "build", "--release", "--workspace", "--bins", "--example", "worker"], cwd=ROOT, check=True)
    done = subprocess.run([python, __file__, *sys.argv[1:]], env=os.environ | {"HIRESCAM_COMPARE": "inside", "TQDM_DISABLE": "1"})
    raise SystemExit(done.returncode)


if __name__ == "__main__":
    import table

    options = arguments()
    if options.table:
        table.write(pathlib.Path(options.table), measured(options.device), options.device)
    else:
        inside_environment(options)
        require(options.device)
        measure(options)
        print(table.text(measured(options.device), options.device))
