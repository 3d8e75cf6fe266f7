"""Runs schemathesis against `hirescam serve`: what no question, address or method of its OpenAPI document may do.

    cargo build -p hirescam-cli --features view
    pip install schemathesis==4.32.5
    python3 scripts/view_api.py target/debug/hirescam [further options of schemathesis]

Once with made-up ids, and once with those of a network and an image that are there. A reply of 500, and a status, a kind of content or a form of
JSON that the document does not name are failures.
"""

import http.client
import json
import pathlib
import subprocess
import sys
import tempfile

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method"


def ask(host: str, path: str) -> dict:
    connection = http.client.HTTPConnection(host)
    connection.request("GET", path)
    return json.load(connection.getresponse())


def config(opened: dict) -> str:
    """Parameters that name what is there."""
    of = {"/api/models/{id}/layers": ("id", opened["models"][0]), "/api/models/{id}/labels": ("id", opened["models"][0]),
          "/api/images/{id}/photo": ("id", opened["images"][0]), "/v2/models/{name}": ("name", "digits-cnn"),
          "/v2/models/{name}/ready": ("name", "digits-cnn"), "/v2/models/{name}/infer": ("name", "digits-cnn")}
    return "".join(f'[[operations]]\ninclude-path = "{path}"\nparameters = {{ "path.{name}" = "{value}" }}\n' for path, (name, value) in of.items())


def run(program: str, known: bool, further: list[str]) -> bool:
    """Whether a server of its own failed."""
    command = [program, "serve", str(FIXTURES / "digits-cnn.onnx"), str(FIXTURES / "photos/seven.png"), "--listen", "127.0.0.1:0", "--engine", "tract"]
    server = subprocess.Popen([*command, "--timeout", "20"], stdout=subprocess.PIPE, text=True)
    try:
        host = server.stdout.readline().split("http://")[1].split("/")[0]
        with tempfile.TemporaryDirectory() as folder:
            options = []
            if known:
                file = pathlib.Path(folder) / "known.toml"
                file.write_text(config(ask(host, "/api")["opened"]))
                options = ["--config-file", str(file)]
            tried = [sys.executable, "-m", "schemathesis.cli", *options, "run", f"http://{host}/api/openapi.json", "--checks", CHECKS, "--seed", "1"]
            # What is there stays there.
            tried += ["--exclude-method", "DELETE"] if known else []
            failed = subprocess.run([*tried, "--no-color", "--max-examples", "25", *further]).returncode != 0
        return failed or "instance" not in ask(host, "/api/health")
    finally:
        server.terminate()
        server.wait()


def main() -> int:
    program, *further = sys.argv[1:]
    return int(any([run(program, known, further) for known in (False, True)]))


if __name__ == "__main__":
    sys.exit(main())
