"""Many raters at once: how long an answer takes, and whether all that was acknowledged is there, once.

    cargo build --release -p hirescam-server --example sample
    python3 benches/study_load.py target/release/examples/sample [--database postgres://…] [--raters 200] [--rate 100] [--seconds 30] [--kills 3]

Starts the server on loopback with a study by hand, lets raters begin, and sends answers at a fixed rate, whether or not earlier ones are answered
(so that waiting is measured, not hidden). Between two answers a rater loads the next page, as a browser does. With `--kills`
the server is killed so often in the middle of it (SIGKILL), or what `--kill COMMAND` kills and starts again; raters send again what was not acknowledged.
Only Python's own library is needed.
"""

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path


class Browser:
    """One connection of one rater, kept open."""

    def __init__(self, host: str, port: int):
        self.host, self.port, self.cookie = host, port, ""
        self.reader = self.writer = None

    async def ask(self, method: str, path: str, body: str = "", headers: str = "") -> tuple[int, dict, str]:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        cookie = f"Cookie: {self.cookie}\r\n" if self.cookie else ""
        self.writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{cookie}{headers}"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.split("\r\n")
        fields = dict(line.lower().split(": ", 1) if ": " in line else (line, "") for line in lines)
        for line in lines:
            if line.lower().startswith("set-cookie: "):
                self.cookie = line[len("set-cookie: ") :].split(";")[0]
        text = await self.reader.readexactly(int(fields.get("content-length", 0)))
        return int(status.split()[1]), fields, text.decode()

    async def ask_until(self, method: str, path: str, body: str = "") -> tuple[int, dict, str]:
        """As `ask`, again and again while nobody answers or the database is away."""
        while True:
            try:
                reply = await self.ask(method, path, body)
                if reply[0] not in (429, 503):
                    return reply
            except (OSError, asyncio.IncompleteReadError):
                self.writer = None
            await asyncio.sleep(0.1)

    async def begin(self) -> None:
        _, _, page = await self.ask("GET", "/")
        ticket = re.search(r'name="ticket" value="([^"]+)"', page)[1]
        status, _, text = await self.ask("POST", "/begin", f"ticket={ticket}&agree=yes")
        assert status == 303, f"{status} {text}"

    async def page(self) -> str:
        status, _, page = await self.ask_until("GET", "/trial")
        assert status == 200, f"{status} {page}"
        return re.search(r'name="page" value="([^"]+)"', page)[1]


async def load(host: str, port: int, raters: int, rate: float, seconds: float, kills: int, kill) -> tuple[list[float], set, list]:
    browsers = [Browser(host, port) for _ in range(raters)]
    for browser in browsers:
        await browser.begin()
    pages = [await browser.page() for browser in browsers]
    times, told, refused = [], set(), []
    begun = asyncio.get_running_loop().time() + 0.5

    async def rater(number: int) -> None:
        browser, page = browsers[number], pages[number]
        for answer in range(int(seconds * rate / raters)):
            # Raters take turns, evenly.
            due = begun + (answer * raters + number) / rate
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            status, _, _ = await browser.ask_until("POST", "/answer", f"page={page}&choice=second&ms=900&width=1280&height=800")
            # From the moment when it was due: a rater who had to wait for the page before has waited, too.
            times.append(asyncio.get_running_loop().time() - due)
            name, trial, *_ = page.split(".")
            (told.add((name, int(trial))) if status == 303 else refused.append(status))
            page = await browser.page()

    async def killer() -> None:
        for number in range(kills):
            await asyncio.sleep(seconds / (kills + 1))
            await asyncio.to_thread(kill)

    await asyncio.gather(killer(), *map(rater, range(raters)))
    return times, told, refused


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("sample", type=Path, help="the program `sample` of crates/server/examples")
    options.add_argument("--database", help="an address, or a file; a new file of SQLite where nothing is said")
    options.add_argument("--raters", type=int, default=200)
    options.add_argument("--rate", type=float, default=100.0, help="answers a second, of all raters together")
    options.add_argument("--seconds", type=float, default=30.0)
    options.add_argument("--kills", type=int, default=0, help="how often something is killed in the middle of it")
    options.add_argument("--kill", metavar="COMMAND", help="kills and starts again something else than the server")
    given = options.parse_args()
    of_rater = int(given.seconds * given.rate / given.raters)
    with tempfile.TemporaryDirectory() as folder:
        command = [given.sample, "prefer", f"{folder}/study", "--slots", str(given.raters), "--items", str(of_rater + 2)]
        command += ["--database", given.database or f"{folder}/answers.sqlite"]
        running = []

        def start(*further: str) -> dict:
            running.append(subprocess.Popen([*command, *further], stdout=subprocess.PIPE, text=True))
            return json.loads(running[-1].stdout.readline())

        def kill() -> None:
            if given.kill:
                subprocess.run(given.kill, shell=True, check=True, stdout=subprocess.DEVNULL)
                return
            running[-1].kill()
            running[-1].wait()
            said.update(start("--listen", f"{host}:{port}"))

        try:
            said = start()
            host, port = said["url"].removeprefix("http://").rsplit(":", 1)
            times, told, refused = asyncio.run(
                load(host, int(port), given.raters, given.rate, given.seconds, given.kills, kill)
            )
            bearer = f"Authorization: Bearer {said['token']}\r\n"
            _, _, text = asyncio.run(Browser(host, int(port)).ask("GET", "/owner/export/answers.json", headers=bearer))
        finally:
            running[-1].terminate()
            running[-1].wait()
    kept = [(answer["rater"], answer["trial"]) for answer in json.loads(text)["answers"]]
    times.sort()
    at = lambda share: 1000 * times[min(len(times) - 1, int(share * len(times)))]
    print(f"{given.raters} raters, {given.rate:g} answers a second for {given.seconds:g} s: {len(told)} acknowledged, {len(refused)} refused")
    print(f"an answer takes {at(0.5):.1f} ms (median), {at(0.95):.1f} ms (95 %), {at(0.99):.1f} ms (99 %), {at(1):.1f} ms (longest)")
    lost, twice = told - set(kept), len(kept) - len(set(kept))
    print(f"of the acknowledged {len(lost)} are lost, {twice} are there twice")
    return int(bool(lost or twice or refused))


if __name__ == "__main__":
    sys.exit(main())
