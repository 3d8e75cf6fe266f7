"""Checks what `hirescam compile` writes: a valid ONNX file that plain ONNX Runtime runs, with the original outputs untouched and the right map beside them.

    python scripts/check_compiled.py target/release/hirescam                        # every file of fixtures/zoo, at hirescam's own layer
    python scripts/check_compiled.py target/release/hirescam --every-layer          # and at every layer that golden.json knows
    python scripts/check_compiled.py target/release/hirescam net.onnx --image x.npy # a file of yours

Needs onnx, onnxruntime and numpy. For each file and layer:
  1. onnx.checker accepts it (full check, with shape inference);
  2. the original outputs come first, with their names, and have the values that the original file gives;
  3. `map` is the map that `hirescam explain` writes, on each engine;
  4. where the certificate says exact, the map's sum and the bias make the score;
  5. where the batch is free, each image of a batch of two gets the map that it gets alone;
  6. for the zoo: the map is PyTorch's (float64, golden.json), and so are verdict, bypass and uniform.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
import tempfile

import numpy as np
import onnx

import cli

ZOO = pathlib.Path(__file__).parent.parent / "fixtures" / "zoo"
MAP_TOLERANCE = 1e-4  # of the largest cell
OUTPUT_TOLERANCE = 1e-6  # of the largest output; the same nodes in the same runtime differ only by what is fused
BATCH_TOLERANCE = 1e-5  # of the largest cell; runtimes may sum a batch in another order
VANISHED = 1e-4  # a map below this share of its terms is rounding, and is judged against the terms


def some_image(model: onnx.ModelProto) -> np.ndarray:
    """A seeded random image in the model's own shape; a free batch is two, any other free axis an error."""
    sizes = [d.dim_value for d in cli.image_input(model).type.tensor_type.shape.dim]
    if 0 in sizes[1:]:
        raise cli.Failed(f"the input's shape {sizes} is not fixed: give --image")
    return np.random.default_rng(1).standard_normal([sizes[0] or 2, *sizes[1:]]).astype(np.float32)


def batch_is_free(model: onnx.ModelProto) -> bool:
    return cli.image_input(model).type.tensor_type.shape.dim[0].dim_value == 0


def distance(a: np.ndarray, b: np.ndarray, scale: float = 0.0) -> float:
    """The largest difference, as a share of the largest value (or of `scale`, where that is larger)."""
    a, b = np.squeeze(np.asarray(a, np.float64)), np.squeeze(np.asarray(b, np.float64))
    if a.shape != b.shape:
        raise cli.Failed(f"shapes differ: {a.shape} and {b.shape}")
    return float(np.abs(a - b).max() / max(np.abs(b).max(), scale, 1e-30))


def golden_layers(file: pathlib.Path) -> list[dict]:
    """What golden.json knows of a file of the zoo, for the output that hirescam explains unless told otherwise: the first probability, else the first."""
    if file.parent.resolve() != ZOO.resolve():
        return []
    entry = next(e for e in json.loads((ZOO / "golden.json").read_text())["files"] if e["file"] == file.name)
    first = min(entry["outputs"], key=lambda output: entry["outputs"][output]["final_op"] is None)
    return [layer | {"golden": entry["golden"]} for layer in entry["layers"] if layer["output"] == first]


def check(binary: str, file: pathlib.Path, layer: str | None, wanted: str | None, image: np.ndarray, engines: list[str], work: pathlib.Path) -> list[str]:
    """The problems found, none if all is right."""
    problems = []
    known = {g["tensor"]: g for g in golden_layers(file) if g.get("target") == wanted}
    choice = "target" if wanted else "top1"

    def scale_of(golden):
        """What a map is judged against, where that is more than its largest cell."""
        vanishing = golden and (golden["vanishing"] or "grid" in golden)  # of tokens all but the class token can vanish
        return golden["terms"][choice] * (1.0 if vanishing else VANISHED) if golden else 0.0

    def must(right, what):
        if not right:
            problems.append(what)

    original, target = onnx.load(file), work / "explaining.onnx"
    cli.call(binary, "compile", file, "-o", target, *cli.asked(layer, wanted))
    compiled = onnx.load(target)
    try:
        onnx.checker.check_model(compiled, full_check=True)
    except Exception as error:
        problems.append(f"onnx.checker: {str(error).strip().splitlines()[-1][:200]}")

    before, after = cli.session(original), cli.session(compiled)
    names = [o.name for o in before.get_outputs()]
    made = [o.name for o in after.get_outputs()]
    must(made[: len(names)] == names, f"outputs {made} do not begin with {names}")
    must("map" in made, f"no output `map` among {made}")
    if problems:
        return problems

    feed = {cli.image_input(original).name: image}
    expected = before.run(names, feed)
    got = dict(zip(made, after.run(made, feed)))
    for name, value in zip(names, expected):
        must(distance(got[name], value) <= OUTPUT_TOLERANCE, f"output {name} changed by {distance(got[name], value):.1e}")

    one = {cli.image_input(original).name: image[:1]}
    alone = dict(zip(made, after.run(made, one)))
    if len(image) > 1:
        last = after.run(["map"], {cli.image_input(original).name: image[-1:]})[0]
        for which, in_batch, by_itself in (("first", got["map"][:1], alone["map"]), ("last", got["map"][-1:], last)):
            off = distance(in_batch, by_itself, scale_of(known.get(layer)))
            must(off <= BATCH_TOLERANCE, f"the map of a batch's {which} image is off by {off:.1e}")

    np.save(work / "image.npy", image[:1])
    for engine in engines:
        record = cli.explain(binary, file, work / "image.npy", work / engine, engine, layer, target=wanted)[0]
        golden = known.get(record["layer"])
        scale = scale_of(golden)
        array = record["array"]
        off = distance(alone["map"], array, scale)
        must(off <= MAP_TOLERANCE, f"map and {engine}'s map differ by {off:.1e}")
        if layer:
            must(record["layer"] == layer, f"{engine} explained {record['layer']}")
        if record["verdict"] == "exact":
            others = float(alone["other_tokens"].sum()) if "other_tokens" in alone else 0.0
            gap = abs(float(np.asarray(alone["map"], np.float64).sum()) + others + record["bias"] - record["score"])
            must(gap <= 1e-4 * max(abs(record["score"]), np.abs(array).sum()), f"sum + bias misses the score by {gap:.1e}")
        if golden:
            arrays = np.load(ZOO / golden["golden"])
            key = golden["key"].replace("@", "_at_")
            must(record["class"] == int(arrays[f"{key}_{choice}_class"][0]), f"class {record['class']}")
            must(abs(record["score"] - arrays[f"{key}_{choice}_score"][0]) <= 1e-4 * max(1.0, abs(record["score"])), f"score {record['score']}")
            off = distance(array, arrays[f"{key}_{choice}_hirescam"][0], scale)
            must(off <= MAP_TOLERANCE, f"{engine}'s map is {off:.1e} from PyTorch's")
            for fact in ("verdict", "bypass", "uniform"):
                said = bool(record[fact]) if fact != "verdict" else record[fact]
                must(said == golden[fact], f"{fact} is {record[fact]}, should be {golden[fact]}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("hirescam", help="the hirescam binary")
    parser.add_argument("files", nargs="*", type=pathlib.Path, help="ONNX files; all of fixtures/zoo by default")
    parser.add_argument("--image", type=pathlib.Path, help="a .npy input for the given files, instead of a random one")
    parser.add_argument("--layer", help="the layer, instead of hirescam's own choice")
    parser.add_argument("--every-layer", action="store_true", help="of zoo files: every layer in golden.json too")
    parser.add_argument("--engines", type=lambda text: text.split(","), default=["tract", "onnxruntime"], help="with commas between (default tract,onnxruntime)")
    args = parser.parse_intermixed_args()

    checked = wrong = 0
    for file in args.files or sorted(ZOO.glob("*.onnx")):
        model, goldens = onnx.load(file), golden_layers(file)
        # Dense outputs are asked for what the first golden is about.
        first = goldens[0].get("target") if goldens and all("target" in g for g in goldens) else None
        layers = [(args.layer, first)] + ([(g["tensor"], g.get("target")) for g in goldens] if args.every_layer else [])
        for layer, wanted in dict.fromkeys(layers):
            with tempfile.TemporaryDirectory() as work:
                try:
                    if args.image:
                        image = np.load(args.image)
                    else:
                        image = np.load(ZOO / goldens[0]["golden"])["x"] if goldens else some_image(model)
                    image = image if batch_is_free(model) else image[:1]
                    problems = check(args.hirescam, file, layer, wanted, image, args.engines, pathlib.Path(work))
                except cli.Failed as error:
                    problems = [str(error)]
            checked += 1
            wrong += bool(problems)
            print(f"{'WRONG' if problems else 'right'}  {file.name:28} {layer or '(its own layer)'} {wanted or ''}", flush=True)
            for problem in problems:
                print(f"       {problem}")
    print(f"{checked - wrong} of {checked} right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
