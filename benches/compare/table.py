"""Writes what `compare.py` measured as tables into a Markdown file, between two comments."""

from __future__ import annotations

import json
import pathlib
import re
import statistics
from collections.abc import Callable

ENGINES = {"tract": "tract", "onnxruntime": "ONNX Runtime"}

Times = list[float]
Ratio = tuple[float, float, float]  # of the medians, and the middle half of the rounds


def read(folder: pathlib.Path) -> dict[str, dict[str, dict]]:
    """measurement -> network -> what was measured."""
    found: dict[str, dict[str, dict]] = {}
    for path in sorted(folder.glob("*/*.json")):
        found.setdefault(path.stem, {})[path.parent.name] = json.loads(path.read_text())
    return found


def ratio(over: Times, under: Times) -> Ratio:
    rounds = sorted(a / b for a, b in zip(over, under))
    low, _, high = statistics.quantiles(rounds, n=4) if len(rounds) > 1 else rounds * 3
    return statistics.median(over) / statistics.median(under), low, high


def number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(r: Ratio | None) -> str:
    return "" if r is None else f"{number(r[0])} ({number(r[1])}–{number(r[2])})"


def ms(times: Times | None) -> str:
    return "" if not times else number(statistics.median(times) / 1e6)


def rows(head: list[str], body: list[list[str]]) -> list[str]:
    return ["| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *body]] if body else ["Not measured yet."]


class Found:
    def __init__(self, folder: pathlib.Path):
        self.all = read(folder)

    def of(self, what: str) -> dict[str, dict]:
        return {network: record["measured"] for network, record in self.all.get(what, {}).items()}

    def ratios(self, what: str, over: str, under: str) -> dict[str, Ratio]:
        """The ratio of two times for each network that has both."""
        return {n: ratio(m[over], m[under]) for n, m in self.of(what).items() if over in m and under in m}


# Networks over volumes, which the geometric means leave out.
VOLUMES = {"r3d_18"}


def goals(found: Found) -> list[str]:
    """The goals: each a ratio of two times, for both engines, as the geometric mean over the networks of 2-D images."""

    def fastest(m: dict, names: list[str]) -> str | None:
        there = [name for name in names if name in m]
        return min(there, key=lambda name: statistics.median(m[name])) if there else None

    def peers(names: list[str]) -> Callable[[str], dict[str, Ratio]]:
        def of(engine: str) -> dict[str, Ratio]:
            measured = found.of("libraries-1-1").items()
            return {n: ratio(m[best], m[engine]) for n, m in measured if engine in m and (best := fastest(m, names))}

        return of

    def times(what: str, over: str, under: str) -> Callable[[str], dict[str, Ratio]]:
        return lambda engine: found.ratios(what, over.format(e=engine), under.format(e=engine))

    def only(network: str, of: Callable[[str], dict[str, Ratio]]) -> Callable[[str], dict[str, Ratio]]:
        return lambda engine: {n: r for n, r in of(engine).items() if n == network}

    table = [
        ("explain ÷ plain inference, last layer", ("≤", 1.03, 1.03), times("cost-1-1", "{e} last", "{e} inference")),
        ("explain ÷ plain inference, deepest layer", ("≤", 2.0, 2.0), times("cost-1-1", "{e} deepest", "{e} inference")),
        ("pytorch-grad-cam ÷ ours", ("≥", 3, 5.6), peers(["pytorch-grad-cam"])),
        ("torch-cam or captum, the faster, ÷ ours", ("≥", 1.1, 1.9), peers(["torch-cam", "captum"])),
        ("onnx-ad, the network cut by hand, ÷ ours", ("≥", None, 2), peers(["onnx-ad"])),
        ("onnx-ad, the whole network, ÷ ours", ("≥", None, 2), peers(["onnx-ad, whole network"])),
        ("20 classes ÷ 1 class", ("≤", 1.1, 1.1), times("classes", "{e} 20", "{e} 1")),
        ("pytorch-grad-cam ÷ ours, 20 classes", ("≥", 60, 60), times("classes", "pytorch-grad-cam 20", "{e} 20")),
        ("all 1000 classes ÷ plain inference", ("≤", 1.25, 1.25), times("classes", "{e} all", "{e} inference")),
        ("ten methods of one run ÷ one method", ("≤", 1.3, 1.3), times("together", "{e} ten methods", "{e} one method")),
        ("Ablation-CAM: pytorch-grad-cam ÷ ours", ("≥", 200, 200), times("methods", "pytorch-grad-cam ablationcam", "{e} ablationcam")),
        ("Score-CAM: pytorch-grad-cam ÷ ours", ("≥", 2, 2), times("methods", "pytorch-grad-cam scorecam", "{e} scorecam")),
        ("ReciproCAM: OpenVINO XAI ÷ ours", ("≥", None, None), times("openvino", "OpenVINO XAI", "{e}")),
        ("1 thread ÷ 2 threads, 8 images", ("≥", 1.85, None), times("threads", "{e} 1", "{e} 2")),
        ("peak memory ÷ plain inference, last layer", ("≤", 1.1, 1.1), times("memory", "{e} peak last", "{e} peak inference")),
        ("getting VGG-16 ready ÷ the engine's own", ("≤", 1.2, 1.2), only("vgg16", times("memory", "{e} ready last", "{e} ready inference"))),
        ("getting ready ÷ the engine's own, all networks", ("≤", None, None), times("memory", "{e} ready last", "{e} ready inference")),
        ("cold start to a written picture: pytorch-grad-cam ÷ ours", ("≥", 8, 8), times("cold", "pytorch-grad-cam", "{e}")),
    ]

    def summary(ratios: dict[str, Ratio], sign: str, goal: float | None) -> str:
        flat = {network: ratio for network, ratio in ratios.items() if network not in VOLUMES}
        if not flat:
            return ""
        mean = statistics.geometric_mean(r[0] for r in flat.values())
        worst = (max if sign == "≤" else min)(flat, key=lambda n: flat[n][0])
        text = cell(flat[worst]) if len(flat) == 1 else f"{number(mean)}; worst {cell(flat[worst])} {worst}"
        if goal is None:
            return text
        reached = [r <= goal if sign == "≤" else r >= goal for r in (mean, *(r[0] for r in flat.values()))]
        each = f"; {sum(reached[1:])} of {len(flat)} networks reach it" if len(flat) > 1 else ""
        return f"{'reached' if reached[0] else 'missed'}: {text}{each}"

    body = []
    for name, (sign, *wanted), of in table:
        asked = " / ".join(dict.fromkeys(f"{w:g}" if w else "–" for w in wanted))
        found_here = [summary(of(engine), sign, w) for engine, w in zip(ENGINES, wanted)]
        if any(found_here):
            body.append([name, f"{sign} {asked}" if any(wanted) else "–", *found_here])
    return rows(["what", "goal: tract / ONNX Runtime", *ENGINES.values()], body)


def cost(found: Found, what: str) -> list[str]:
    body = []
    for network, m in found.of(what).items():
        line = [network]
        for engine in ENGINES:
            plain = m.get(f"{engine} inference")
            line += ["", "", ""] if plain is None else [ms(plain), cell(ratio(m[f"{engine} last"], plain)), cell(ratio(m[f"{engine} deepest"], plain))]
        body.append(line)
    return rows(["network", *[f"{e} {c}" for e in ENGINES.values() for c in ("ms", "last ×", "deepest ×")]], body)


def libraries(found: Found, what: str) -> list[str]:
    names = ["PyTorch inference", "pytorch-grad-cam", "torch-cam", "captum", "onnx-ad", "onnx-ad, whole network"]
    body = []
    for network, m in found.of(what).items():
        # torch-cam's map is another one, and for some networks not even what it should be.
        off = {pair: error for pair, error in m["differences"].items() if "torch-cam" not in pair}
        grad_cam = max(error for pair, error in m["differences"].items() if "torch-cam" in pair)
        times = [ms(m.get(n)) or "refuses" for n in names]
        body.append([network, *[ms(m.get(engine)) for engine in ENGINES], *times, f"{max(off.values()):.0e}", f"{grad_cam:.0e}"])
    return rows(["network", *[f"ours, {e}" for e in ENGINES.values()], *names, "largest difference", "of Grad-CAM"], body)


def memory(found: Found) -> list[str]:
    body = []
    for network, m in found.of("memory").items():
        line = [network]
        for engine in ENGINES:
            peak, ready = m[f"{engine} peak inference"], m[f"{engine} ready inference"]
            line += [number(statistics.median(peak) / 1024), cell(ratio(m[f"{engine} peak last"], peak)), ms(ready), cell(ratio(m[f"{engine} ready last"], ready))]
        body.append(line)
    return rows(["network", *[f"{e} {c}" for e in ENGINES.values() for c in ("MiB", "×", "ready, ms", "×")]], body)


def openvino(found: Found) -> list[str]:
    body = []
    for network, m in found.of("openvino").items():
        plain, off = m["OpenVINO inference"], m["differences"]
        inside = [text for name in ("OpenVINO XAI", "explaining model") for text in (ms(m[name]), cell(ratio(m[name], plain)))]
        errors = [max(off[engine] for engine in ENGINES), off["explaining model"]]
        body.append([network, ms(plain), *inside, *[ms(m[engine]) for engine in ENGINES], *[f"{error:.0e}" for error in errors]])
    inside = ["OpenVINO ms", "OpenVINO XAI, ReciproCAM, ms", "×", "explaining model, HiResCAM, ms", "×"]
    ours = [f"our ReciproCAM, {engine}, ms" for engine in ENGINES.values()]
    return rows(["network", *inside, *ours, "largest difference of ReciproCAM", "of HiResCAM"], body)


def nodes(found: Found) -> list[str]:
    def line(network: str, added: list[str]) -> list[str]:
        constants = added.count("Constant")
        return [network, str(len(added) - constants), str(constants), ", ".join(f"{added.count(op)} {op}" for op in sorted(set(added)) if op != "Constant")]

    return rows(["network", "operators", "constants", "which"], [line(n, m["added"]) for n, m in found.of("nodes").items()])


def machine(found: Found) -> str:
    records = [record["machine"] for of in found.all.values() for record in of.values()]
    kinds = sorted({(m["cpu"], m["cores"], m["memory"], m["system"]) for m in records})
    versions = sorted({f"{name} {v}" for m in records for name, v in m["versions"].items()})
    load = max((m["load"] or 0 for m in records), default=0)
    where = "; ".join(f"{cpu}, {cores} cores, {memory}, {system}" for cpu, cores, memory, system in kinds)
    return f"Measured on {where}; {', '.join(versions)}. The highest load average at the end of a measurement was {load}."


def text(folder: pathlib.Path, device: str) -> str:
    """All that was measured on the device, as tables."""
    found = Found(folder)
    parts = [[machine(found)], ["### Goals"], goals(found)]
    for name, table in {"cost": cost, "libraries": libraries}.items():
        for what in sorted(w for w in found.all if w.startswith(f"{name}-")):
            threads, batch = what.split("-")[1:]
            title = {"cost": "A map beside plain inference", "libraries": "Milliseconds a map, beside other libraries"}[name]
            parts += [[f"### {title}: {threads} thread{'s' * (threads != '1')}, {batch} image{'s' * (batch != '1')}"], table(found, what)]
    if device == "cpu":
        parts += [["### Beside OpenVINO XAI: 1 thread, 1 image"], openvino(found)]
        parts += [["### Memory, and getting ready"], memory(found), ["### What an explaining model has more than the network"], nodes(found)]
    return "\n\n".join("\n".join(part) for part in parts)


def write(file: pathlib.Path, folder: pathlib.Path, device: str) -> None:
    """Writes what was measured on the device between the comments that name it."""
    where = "measured" if device == "cpu" else f"measured on {device}"
    begin, end = f"<!-- {where} -->", f"<!-- end of {where} -->"
    whole = file.read_text()
    if begin not in whole or end not in whole:
        raise SystemExit(f"{file} has no {begin} … {end} for the tables")
    made = f"{begin}\n\n{text(folder, device)}\n\n{end}"
    file.write_text(re.sub(f"{begin}.*?{end}", lambda _: made, whole, flags=re.DOTALL))
