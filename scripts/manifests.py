"""Holds the manifests of examples/batch and what `hirescam compile --triton` writes against their readers' own parsers: python scripts/manifests.py [PROGRAM]

- the Indexed Job against Kubernetes' schema (kubernetes-validate), of the version in which all that it uses is settled and of the last that the package has;
- KServe's InferenceServices against the models of its SDK (kserve, with kubernetes<33, whose form of types it reads): what they read and write again has to be the same;
- Triton's config.pbtxt against `ModelConfig` (tritonclient[grpc]), where PROGRAM, the command, is given;
- that each of them is found wrong when a field is misspelt.

What is not installed is skipped with words.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
MANIFESTS = ROOT / "examples" / "batch"
SETTLED = "1.33"
"""The first version in which `backoffLimitPerIndex` and `podFailurePolicy` are no longer on trial."""


def there(package: str) -> bool:
    found = importlib.util.find_spec(package) is not None
    if not found:
        print(f"SKIPPED: {package} is not installed")
    return found


def refused(check: Any, manifest: dict[str, Any], *path: str) -> None:
    """The check has to fail once the last field of the path is misspelt."""
    wrong = copy.deepcopy(manifest)
    inner = wrong
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1] + "x"] = inner.pop(path[-1])
    try:
        check(wrong)
    except Exception:
        return
    raise SystemExit(f"{'.'.join(path)} was misspelt, and nobody noticed")


def kubernetes() -> None:
    import kubernetes_validate

    job = yaml.safe_load((MANIFESTS / "kubernetes-job.yaml").read_text())
    versions = [SETTLED, kubernetes_validate.latest_version()]
    for version in versions:

        def check(manifest: dict[str, Any], version: str = version) -> None:
            kubernetes_validate.validate(manifest, version, strict=True)

        check(job)
        refused(check, job, "spec", "completionMode")
    variables = {one["name"]: one["value"] for one in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert int(variables["WORKERS"]) == job["spec"]["completions"], "each worker has its index"
    print(f"the Indexed Job is one for Kubernetes {versions[0]} to {versions[-1]}")


def said(value: Any) -> Any:
    """Without names that the SDK leaves empty."""
    if isinstance(value, dict):
        return {name: said(inner) for name, inner in value.items() if inner != ""}
    return [said(inner) for inner in value] if isinstance(value, list) else value


def kserve() -> None:
    import kserve.models
    import kubernetes.client.models
    from kserve.api_client import ApiClient

    # The SDK's models name those of Kubernetes, and look for them among their own.
    for name in dir(kubernetes.client.models):
        if not hasattr(kserve.models, name):
            setattr(kserve.models, name, getattr(kubernetes.client.models, name))

    class Answer:
        def __init__(self, manifest: Any) -> None:
            self.data = json.dumps(manifest)

    def check(manifest: dict[str, Any]) -> None:
        client = ApiClient()
        again = said(client.sanitize_for_serialization(client.deserialize(Answer(manifest), "V1beta1InferenceService")))
        assert again == manifest, f"read and written again, it is\n{again}\nand was\n{manifest}"

    for name in ("kserve-triton", "kserve-hirescam"):
        manifest = yaml.safe_load((MANIFESTS / f"{name}.yaml").read_text())
        check(manifest)
        refused(check, manifest, "spec", "predictor", "maxReplicas")
        print(f"{name}.yaml is an InferenceService")


def triton(program: str) -> None:
    from google.protobuf import text_format
    from tritonclient.grpc import model_config_pb2

    for network, batch in [("digits-cnn", 0), ("zoo/resnet.ts", 8)]:
        with tempfile.TemporaryDirectory() as folder:
            command = [program, "compile", str(ROOT / "fixtures" / f"{network}.onnx"), "--triton", folder]
            subprocess.run(command, check=True, capture_output=True)
            (written,) = Path(folder).glob("*/config.pbtxt")
            config = text_format.Parse(written.read_text(), model_config_pb2.ModelConfig())
            assert config.max_batch_size == batch and config.HasField("dynamic_batching") == (batch > 0), config
            try:
                text_format.Parse(written.read_text().replace("max_batch_size", "max_batch_sizes"), model_config_pb2.ModelConfig())
            except text_format.ParseError:
                print(f"{written.parent.name}/config.pbtxt is a ModelConfig with batches up to {batch}: outputs {', '.join(output.name for output in config.output)}")
            else:
                raise SystemExit("a field was misspelt, and nobody noticed")


def main() -> None:
    if there("kubernetes_validate"):
        kubernetes()
    if there("kserve") and there("kubernetes"):
        kserve()
    if len(sys.argv) > 1 and there("tritonclient"):
        triton(sys.argv[1])


if __name__ == "__main__":
    main()
