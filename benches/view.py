#!/usr/bin/env python3
"""How long the first map takes over HTTP, beside the command's own time.

    python benches/view.py target/release/hirescam MODEL.onnx PHOTO [--engine tract] [--times 7]

Both start anew each time, in turn: `hirescam explain MODEL PHOTO`, and `hirescam view MODEL PHOTO` until the reply with the map is there. Prints
a row of Markdown: medians in seconds, and the median of the ratios.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
import urllib.request


def ask(url, question=None):
    data = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def by_command(program, arguments):
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        subprocess.run([program, "explain", *arguments, "--out", out], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start


def by_page(program, arguments):
    """All that a page asks for until it shows a map."""
    start = time.perf_counter()
    server = subprocess.Popen([program, "view", *arguments, "--no-open"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        url = server.stdout.readline().split(": ")[1].strip()
        opened = ask(url + "api")["opened"]
        model, image = opened["models"][0], opened["images"][0]
        ask(url + "api/models/" + model)
        result = ask(url + "api/explanations", {"model": model, "images": [image], "spec": {}})["results"][0]
        took = time.perf_counter() - start
        assert result["maps"], result["error"]
        return took
    finally:
        server.terminate()
        server.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("model")
    parser.add_argument("photo")
    parser.add_argument("--engine", default="tract")
    parser.add_argument("--times", type=int, default=7)
    options = parser.parse_args()
    arguments = [options.model, options.photo, "--engine", options.engine]
    by_command(options.program, arguments)
    pairs = [(by_command(options.program, arguments), by_page(options.program, arguments)) for _ in range(options.times)]
    command, page = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    ratio = statistics.median(page / command for command, page in pairs)
    print(f"| {options.engine} | {command:.2f} | {page:.2f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
