"""64 clients at once against the service: right answers, latency, throughput.

Run: python -m benchmarks.load --data DIR [--clients 64] [--seconds 60] [--seed 1] [--out FILE]

DIR holds ``images/NAME/*.jpg``. The service is started as `mien serve` in a process of its own, on
loopback, with keys on. Half of the people with two photos are enrolled beforehand; during the run
each client searches for a second photo of one of them or for a stranger (nine in ten requests), or
enrols somebody new.

* **wrong identity**: a match whose score differs by more than 0.001 from the cosine that the
  library finds between this very photo and the person who is named, as an answer to another
  request, or a name in another one's place, would. A match that the library would give as well,
  and that is still not the person on the photo, is an error of the network: counted apart.
* **throughput**: pictures answered in a second, against `FacePipeline.analyse_many` on the same
  photos with all threads of the quota. The run is cut into blocks, and the library has a turn
  before and after each, while the service rests, so that a busy machine is busy for both. The
  clients run on the same cores, and their time counts against the service.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.common import machine, write_json
from mien.core.errors import MienError
from mien.core.keys import new_key
from mien.faces.pipeline import FacePipeline, Ok
from mien.faces.quality import QualityGate
from mien.gallery.gallery import Gallery
from mien.media.image import load_image
from mien.server.api_keys import ApiKeys
from mien.server.principal import SCOPES

COLLECTION = "load"
BLOCKS = 4
SCORE_TOLERANCE = 1e-3
ENROLLING = 0.1  # share of requests, as long as there is somebody new


@dataclass(frozen=True, slots=True)
class Probe:
    """A photo to search for.

    Attributes:
        person: Whom it shows.
        path: The file.
        cosines: What the library finds between its largest face and the people nearest to it.
    """

    person: str
    path: Path
    cosines: dict[str, float]


@dataclass(slots=True)
class Tally:
    """What the clients saw."""

    statuses: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    false_matches: int = 0
    pictures: int = 0
    blocks_s: list[float] = field(default_factory=list)
    server_cpu_s: float = 0.0
    client_cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Crowd:
    """What the clients ask for.

    Attributes:
        probes: Photos to search for.
        late: Photos to enrol, each once.
        rng: Chooses.
    """

    probes: list[Probe]
    late: list[tuple[str, Path]]
    rng: np.random.Generator


def main() -> int:
    options = parse()
    rng = np.random.default_rng(options.seed)
    pipeline = FacePipeline.open()
    enrolled, named, late = draw(options.data / "images", rng)
    probes = expectations(pipeline, [*enrolled, *late], named)
    mix = [probe.path for probe in probes][:300]
    with tempfile.TemporaryDirectory() as folder:
        tally, library = asyncio.run(
            against_service(
                Path(folder),
                options,
                enrolled,
                Crowd(probes, list(late), rng),
                lambda: library_rate(pipeline, mix),
            )
        )
    elapsed_s = sum(tally.blocks_s)
    rate = tally.pictures / elapsed_s
    latencies = np.array(tally.latencies_ms)
    report = {
        "clients": options.clients,
        "seconds": round(elapsed_s, 1),
        "requests": sum(tally.statuses.values()),
        "statuses": dict(tally.statuses),
        "decisions": dict(tally.decisions),
        "wrong_identities": len(tally.wrong),
        "false_matches_of_the_network": tally.false_matches,
        "server_errors": sum(n for s, n in tally.statuses.items() if s.startswith("5")),
        "p50_ms": round(float(np.percentile(latencies, 50)), 1),
        "p95_ms": round(float(np.percentile(latencies, 95)), 1),
        "p99_ms": round(float(np.percentile(latencies, 99)), 1),
        "pictures_per_s": round(rate, 1),
        "library_pictures_per_s": [round(one, 1) for one in library],
        "ratio": round(rate / statistics.fmean(library), 3),
        "cpu_s": {"server": round(tally.server_cpu_s, 1), "clients": round(tally.client_cpu_s, 1)},
        "seed": options.seed,
    }
    print(json.dumps(report, indent=2))
    for line in tally.wrong[:10]:
        print(line, file=sys.stderr)
    if options.out:
        write_json(options.out, report | {"machine": machine()})
    return 1 if tally.wrong or report["server_errors"] else 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


Named = tuple[str, Path]


def draw(root: Path, rng: np.random.Generator) -> tuple[list[Named], list[Named], list[Named]]:
    """Photos enrolled beforehand, photos to search for, photos enrolled during the run."""
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    files = {path.name: sorted(path.glob("*.jpg")) for path in folders}
    several = [name for name, found in files.items() if len(found) > 1]
    single = [name for name, found in files.items() if len(found) == 1]
    rng.shuffle(several)
    rng.shuffle(single)
    known, others = several[: len(several) // 2], several[len(several) // 2 :]
    late, strangers = [*others, *single[:300]], single[300:]
    probes = [(name, path) for name in known for path in files[name][1:3]]
    probes += [(name, files[name][0]) for name in strangers]
    rng.shuffle(probes)
    return [(n, files[n][0]) for n in known], probes, [(n, files[n][0]) for n in late]


def expectations(pipeline: FacePipeline, people: list[Named], probes: list[Named]) -> list[Probe]:
    """For each photo the library's cosines to the people who resemble its largest face most."""
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery.create(Path(folder) / "g", pipeline.contract, key=new_key())
        for name, path in people:
            put(gallery, pipeline, name, path)
        outcomes = pipeline.analyse_many([p for _, p in probes], gate=QualityGate.probe())
        found = [
            Probe(name, path, nearest(gallery, outcome))
            for (name, path), outcome in zip(probes, outcomes, strict=True)
        ]
        gallery.close()
    return found


def put(gallery: Gallery, pipeline: FacePipeline, name: str, path: Path) -> None:
    """Enrol as the service does; a face that is refused is refused there too."""
    image = load_image(path)
    analysis = pipeline.analyse(image)
    with suppress(MienError):
        row = analysis.main_face()
        gallery.enrol(name, analysis, pixels=image.pixels, row=row, force=True)


def nearest(gallery: Gallery, outcome: Any) -> dict[str, float]:
    """People and cosines, as many as could be named."""
    faces = outcome.analysis.faces if isinstance(outcome, Ok) else []
    if not len(faces):
        return {}
    areas = np.prod(faces.boxes[:, 2:] - faces.boxes[:, :2], axis=1)
    vector = faces.embeddings[int(np.argmax(areas))]
    return {hit.person: hit.score for hit in gallery.nearest(vector[None], 30)[0]}


def library_rate(pipeline: FacePipeline, paths: list[Path]) -> float:
    """Pictures a second of the library's own batches."""
    start = time.perf_counter()
    count = sum(1 for _ in pipeline.analyse_many(paths, gate=QualityGate.probe()))
    return count / (time.perf_counter() - start)


async def against_service(
    folder: Path,
    options: argparse.Namespace,
    enrolled: list[Named],
    crowd: Crowd,
    library: Callable[[], float],
) -> tuple[Tally, list[float]]:
    """What the clients saw, and the library's rates in between."""
    port, key, process = start_service(folder)
    try:
        await wait_ready(port, process)
        client = await Client.open(port, key)
        body = json.dumps({"collection_id": COLLECTION}).encode()
        status, answer = await client.send("POST", "/v1/collections", body, "application/json")
        if status != 201:
            raise SystemExit(f"no collection: {status} {answer!r}")
        for name, path in enrolled:
            await client.enrol(name, path, force=True)
        await client.close()
        tally, rates = Tally(), [library()]
        for _ in range(BLOCKS):
            clients = [await Client.open(port, key) for _ in range(options.clients)]
            used, ours = cpu_of(process.pid), time.process_time()
            start = time.perf_counter()
            stop = start + options.seconds / BLOCKS
            await asyncio.gather(*(one_client(one, crowd, tally, stop) for one in clients))
            tally.blocks_s.append(time.perf_counter() - start)
            tally.server_cpu_s += cpu_of(process.pid) - used
            tally.client_cpu_s += time.process_time() - ours
            rates.append(library())
        return tally, rates
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def start_service(folder: Path) -> tuple[int, str, subprocess.Popen[bytes]]:
    keys = ApiKeys(folder / "keys.json")
    _, text = keys.create("load", scopes=SCOPES)
    port = 18765
    settings = folder / "settings.toml"
    settings.write_text(
        f'data_folder = "{folder}"\nport = {port}\npage = false\n'
        "requests_per_minute = 1000000\nburst = 100000\n"
    )
    (folder / "gallery.key").write_text(new_key().as_text())
    process = subprocess.Popen(
        [sys.executable, "-m", "mien", "serve", "--config", str(settings),
         "--keys", str(folder / "keys.json")],
        env=os.environ | {"MIEN_GALLERY_KEY_FILE": str(folder / "gallery.key")},
    )  # fmt: skip
    return port, text, process


def cpu_of(pid: int) -> float:
    """Seconds that a process and its children have computed, all threads together."""
    parent = psutil.Process(pid)
    times = [one.cpu_times() for one in (parent, *parent.children(recursive=True))]
    return float(sum(one.user + one.system for one in times))


async def wait_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        if process.poll() is not None:
            raise SystemExit("the service ended")
        try:
            client = await Client.open(port, "")
            status, _ = await client.send("GET", "/readyz", b"", "")
            await client.close()
            if status == 200:
                return
        except OSError:
            pass
        await asyncio.sleep(0.2)
    raise SystemExit("the service does not get ready")


class Client:
    """One connection that is kept open; as little of HTTP as the service needs."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: str
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._key = key

    @classmethod
    async def open(cls, port: int, key: str) -> "Client":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port), key)

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        await self._writer.wait_closed()

    async def send(self, verb: str, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        """One request; status and body of the answer."""
        head = f"{verb} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        head += f"Content-Type: {kind}\r\n" if kind else ""
        head += f"Authorization: Bearer {self._key}\r\n" if self._key else ""
        self._writer.write(head.encode() + b"\r\n" + body)
        await self._writer.drain()
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(lines.split(" ", 2)[1])
        length = int(lines.split("content-length:")[1].split("\r\n", 1)[0])
        return status, await self._reader.readexactly(length)

    async def enrol(self, name: str, path: Path, *, force: bool) -> tuple[int, bytes]:
        """Enrol a photo as a form."""
        mark = b"----mien-load"
        fields = {"person": name, "consent": "benchmark", "face": "main"}
        fields |= {"force": "true"} if force else {}
        parts = [
            b"--" + mark + f'\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode()
            for k, v in fields.items()
        ]
        parts.append(
            b"--" + mark + b'\r\nContent-Disposition: form-data; name="image"; filename="p.jpg"\r\n'
            b"Content-Type: image/jpeg\r\n\r\n" + path.read_bytes() + b"\r\n--" + mark + b"--\r\n"
        )
        kind = f"multipart/form-data; boundary={mark.decode()}"
        place = f"/v1/collections/{COLLECTION}/faces"
        return await self.send("POST", place, b"".join(parts), kind)


async def one_client(client: Client, crowd: Crowd, tally: Tally, stop: float) -> None:
    while time.perf_counter() < stop:
        start = time.perf_counter()
        if crowd.late and crowd.rng.random() < ENROLLING:
            name, path = crowd.late.pop()
            status, _ = await client.enrol(name, path, force=False)
        else:
            probe = crowd.probes[int(crowd.rng.integers(len(crowd.probes)))]
            place = f"/v1/collections/{COLLECTION}/search"
            status, answer = await client.send("POST", place, probe.path.read_bytes(), "image/jpeg")
            if status == 200:
                judge(probe, json.loads(answer), tally)
        tally.latencies_ms.append(1e3 * (time.perf_counter() - start))
        tally.statuses[str(status)] += 1
        tally.pictures += status in {200, 201, 409, 422}
    await client.close()


def judge(probe: Probe, answer: dict[str, Any], tally: Tally) -> None:
    faces = answer["faces"]
    if not faces:
        tally.decisions["no face"] += 1
        return
    found = faces[0]
    tally.decisions[found["decision"]] += 1
    if found["decision"] != "match":
        return
    expected = probe.cosines.get(found["person"])
    if expected is None or abs(found["score"] - expected) > SCORE_TOLERANCE:
        tally.wrong.append(f"{probe.path.name}: {found['person']} at {found['score']}")
    elif found["person"] != probe.person:
        tally.false_matches += 1


if __name__ == "__main__":
    sys.exit(main())
