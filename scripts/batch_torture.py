"""Tortures a job: many images of which some are broken, workers that are killed, that race, whose network changes, whose disk is full.

    cargo build --release -p hirescam-cli --features batch
    python3 scripts/batch_torture.py target/release/hirescam [--images 20000] [--seed 1] [--only killed,racing,…] [--keep FOLDER]

Each time `hirescam batch verify` has to tell exactly how things are, and in the end all rows have to be the same bytes as those of an undisturbed
run. The network of the fixtures is a small one, so that it is the machinery that works. A full disk is a tmpfs of 64 MiB, which takes root; without,
the script says that it was left out. Where duckdb, polars, pandas and pyarrow are installed, the rows are read by them, too. It prints a table in Markdown.
"""

import argparse
import json
import random
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import zlib
from io import BytesIO
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
KILLS = 10
DISK = 64 << 20


def png(number: int, side: int = 28) -> bytes:
    """A grey photo of its own for each number."""
    noise = random.Random(number)
    rows = b"".join(b"\0" + noise.randbytes(side) for _ in range(side))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def npy(shape: tuple[int, ...], values: bytes) -> bytes:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + values


def bomb() -> bytes:
    """A header of 100,000 x 100,000 pixels, and none of them."""
    return struct.pack("<2sIHHIIiiHHIIiiII", b"BM", 54, 0, 0, 54, 40, 100_000, 100_000, 1, 24, 0, 0, 0, 0, 0, 0)


GOOD = png(0)
NAN = struct.pack("<f", float("nan")) * 784
# What is broken, by the ending of its name. The last two are broken after the plan: one is gone, the other another.
BROKEN = [
    ("png", b""),
    ("png", GOOD[: len(GOOD) // 2]),
    ("jpg", b"<html>404</html>"),
    ("gif", bytes(n * 37 % 251 for n in range(999))),
    ("bmp", bomb()),
    ("png", png(1, 40)),
    ("npy", npy((1, 1, 28, 28), NAN)),
    ("npy", npy((1, 3, 28, 28), NAN * 3)),
    ("npy", npy((1, 1, 28, 28), b"")),
    ("png", None),
    ("png", GOOD),
]


class Torture:
    def __init__(self, program: str, room: Path, images: int, seed: int):
        self.program, self.room, self.images, self.chance = program, room, images, random.Random(seed)
        self.rows: list[tuple[str, str]] = []
        for name in ("onnx", "toml", "labels.txt"):
            shutil.copy(FIXTURES / f"digits-cnn.{name}", room / f"digits-cnn.{name}")
        self.network = room / "digits-cnn.onnx"
        self.broken = self.chance.sample(range(images), images // 100)
        self.make()

    def make(self) -> None:
        """Half of the images in folders, a third in tar archives, the rest named by a table."""
        self.later: list[tuple[Path, bytes | None]] = []
        listed, members = [], []
        for number in range(self.images):
            ending, content = ("png", png(number))
            in_tar = number % 6 in (3, 4)
            if number in self.broken:
                ending, content = BROKEN[self.broken.index(number) % len(BROKEN)]
                # What happens after the plan happens to files.
                in_tar = in_tar and content not in (None, GOOD)
            if in_tar:
                members.append((f"{number:06}.{ending}", content))
                continue
            # Of files that a table names nobody knows how long they were.
            folder = "listed" if number % 6 == 5 and content is not GOOD else f"photos/{number % 10}"
            path = self.room / folder / f"{number:06}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(GOOD if content is None else content)
            if content is None or content is GOOD:
                self.later.append((path, None if content is None else GOOD * 2))
            if folder == "listed":
                listed.append(f"listed/{path.name}")
        (self.room / "list.csv").write_text("path\n" + "\n".join(listed) + "\n")
        for part in range(5):
            with tarfile.open(self.room / f"part-{part}.tar", "w") as archive:
                for name, content in members[part::5]:
                    about = tarfile.TarInfo(name)
                    about.size = len(content)
                    archive.addfile(about, BytesIO(content))

    def job(self, name: str, out: Path | None = None) -> Path:
        """The same job in another place. Its plan is that of the images before something happened to them."""
        file = self.room / f"{name}.toml"
        size = max(20, self.images // 100)
        file.write_text(
            f"model = 'digits-cnn.onnx'\ninputs = ['photos', 'part-*.tar', 'list.csv']\nout = '{out or self.room / name}'\nshard_size = {size}\n"
            "[spec]\ntop = 2\n[spec.engine]\nthreads = 1\n"
        )
        for path, _ in self.later:
            path.write_bytes(GOOD)
        done = self.run("plan", file)
        assert done.returncode == 0, done.stderr
        for path, content in self.later:
            path.unlink() if content is None else path.write_bytes(content)
        return out or self.room / name

    def run(self, *args: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([self.program, "batch", *map(str, args)], capture_output=True, text=True)

    def start(self, out: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([self.program, "batch", "run", str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def verified(self, out: Path) -> dict:
        done = self.run("verify", out, "--json")
        found = json.loads(done.stdout)
        whole = found["missing"] == 0 and not found["problems"]
        assert done.returncode == int(not whole), done
        return found

    def done(self, out: Path) -> int:
        return len(list((out / "receipts").glob("*.json")))

    def unharmed(self, out: Path) -> dict:
        """Not done, perhaps, but nothing is wrong."""
        found = self.verified(out)
        assert not found["problems"], found["problems"][:3]
        assert found["missing"] == found["shards"] - self.done(out), found
        return found

    def is_calm(self, out: Path) -> None:
        """Whole, and the same bytes as undisturbed."""
        found = self.unharmed(out)
        assert found["missing"] == 0 and found["images"] == self.images and found["failed"] == len(self.broken), found
        files = {path.name: path.read_bytes() for path in (out / "rows").iterdir()}
        assert files == self.calm, "the rows are others than those of an undisturbed run"

    def undisturbed(self) -> str:
        out = self.job("calm")
        started = time.monotonic()
        done = self.run("run", out)
        seconds = time.monotonic() - started
        assert done.returncode == 1, done.stderr
        self.seconds = seconds
        self.calm = {path.name: path.read_bytes() for path in (out / "rows").iterdir()}
        self.is_calm(out)
        size = sum(map(len, self.calm.values())) / 1e6
        return f"{self.images} images, {len(self.broken)} of them broken in {len(BROKEN)} ways: {len(self.calm)} shards, {size:.1f} MB, {seconds:.0f} s; whole"

    def killed(self) -> str:
        out = self.job("killed")
        at = []
        while len(at) < KILLS:
            worker = self.start(out)
            time.sleep(self.chance.uniform(0.05, max(0.3, 1.6 * self.seconds / KILLS)))
            if worker.poll() is not None:
                break
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            self.unharmed(out)
            at.append(self.done(out))
        kills = len(at)
        self.run("run", out)
        self.is_calm(out)
        return f"killed {kills} times, when {', '.join(map(str, at))} shards were done: after each verify finds nothing wrong; then whole, and the same bytes"

    def racing(self) -> str:
        out = self.job("racing")
        workers = [self.start(out) for _ in range(2)]
        said = [worker.communicate()[1].decode() for worker in workers]
        assert all(worker.returncode in (0, 1) for worker in workers), said
        self.is_calm(out)
        dropped = sum(text.count("by another worker first") for text in said)
        # All at one shard at the same moment.
        one = self.job("racing-one")
        workers = [subprocess.Popen([self.program, "batch", "run", str(one), "--shard", "0"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for _ in range(4)]
        assert all(worker.wait() in (0, 1) for worker in workers)
        self.unharmed(one)
        assert self.done(one) == 1
        self.run("run", one)
        self.is_calm(one)
        return f"two workers on one job ({dropped} of them dropped a copy), four on one shard: whole, and the same bytes"

    def changed(self) -> str:
        out = self.job("changed")
        worker = self.start(out)
        while self.done(out) < 20 and worker.poll() is None:
            time.sleep(0.01)
        before = self.network.read_bytes()
        other = bytearray(before)
        other[len(other) // 2] ^= 1
        self.network.write_bytes(other)
        said = worker.communicate()[1].decode()
        assert worker.returncode == 2 and "the model changed from SHA-256" in said, said
        found = self.unharmed(out)
        again = self.run("run", out)
        assert again.returncode == 2 and "the model changed" in again.stderr, again
        self.network.write_bytes(before)
        self.run("run", out)
        self.is_calm(out)
        return f"the network changed when {found['shards'] - found['missing']} shards were done: the worker stops and says so, as does the next; put back: whole, and the same bytes"

    def full(self) -> str:
        place = self.room / "disk"
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", place], capture_output=True, text=True)
        if mounted.returncode != 0:
            return f"left out: a disk of 64 MiB cannot be mounted here ({mounted.stderr.strip()})"
        try:
            out = self.job("full", place / "out")
            filler = place / "filler"
            room = DISK - sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
            filler.write_bytes(bytes(room - sum(map(len, self.calm.values())) // 2))
            times = 0
            for _ in range(2):
                done = self.run("run", out)
                assert done.returncode == 3 and "no space is left" in done.stderr, done
                found = self.unharmed(out)
                times += 1
            kept = found["shards"] - found["missing"]
            assert 0 < kept < found["shards"]
            filler.unlink()
            self.run("run", out)
            self.is_calm(out)
        finally:
            subprocess.run(["umount", place], check=True)
        return f"a disk of 64 MiB that is full after {kept} shards: said so {times} times, what was done is kept; with room: whole, and the same bytes"

    def read(self) -> str:
        rows, failed, by = f"{self.room}/calm/rows/*.parquet", len(self.broken), []
        try:
            import duckdb

            query = f"select count(distinct id), count(distinct id) filter (error is not null), max(len(map)) from '{rows}'"
            assert duckdb.sql(query).fetchall()[0] == (self.images, failed, 49)
            by.append(f"DuckDB {duckdb.__version__}")
        except ImportError:
            pass
        try:
            import polars

            read = polars.read_parquet(rows)
            assert (read["id"].n_unique(), read.filter(polars.col("error").is_not_null())["id"].n_unique()) == (self.images, failed)
            by.append(f"Polars {polars.__version__}")
        except ImportError:
            pass
        try:
            import pandas

            read = pandas.read_parquet(f"{self.room}/calm/rows")
            assert (read["id"].nunique(), read[read["error"].notna()]["id"].nunique()) == (self.images, failed)
            by.append(f"pandas {pandas.__version__}")
        except ImportError:
            pass
        return f"read by {', '.join(by) or 'nobody: none is installed'}: {self.images} images, {failed} failed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="killed,racing,changed,full,read")
    parser.add_argument("--keep")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        room = Path(given.keep or folder).resolve()
        room.mkdir(parents=True, exist_ok=True)
        torture = Torture(str(Path(given.program).resolve()), room, given.images, given.seed)
        print("| what happens | what comes of it |\n|---|---|")
        for name in ["undisturbed", *given.only.split(",")]:
            print(f"| {name} | {getattr(torture, name)()} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
