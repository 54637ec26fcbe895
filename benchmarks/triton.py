"""Benchmark (b): the encoder on Triton against the same encoder in process, on the same cores in one run.

Triton runs the committed CPU profile on this machine and shares its cores with the client; rounds of both take
turns. Beside the rate stands the processor time a note costs, client and server together: it hardly changes when
the machine has other work to do. Requests of one window, one after the other, give the overhead of a request: how
much longer it takes than the run in process, and the processor time it costs the client.

    python -m benchmarks.triton [--notes 512] [--rounds 7]
"""

import asyncio
import contextlib
import os
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.command import parser_of, run
from benchmarks.corpus import make_notes
from streamproc.config import load_settings
from streamproc.inference.bundle import Bundle, default_bundle_path
from streamproc.inference.cores import available_cores
from streamproc.inference.onnx import load_encoder
from streamproc.inference.protocols import Encoder
from streamproc.inference.text import note_text
from streamproc.inference.triton import load_triton_encoder
from tests.servers.triton import REPOSITORY, TritonServer

BATCH = 64
"""Notes a call: the default size of a micro-batch."""

SINGLE_REQUESTS = 300


@dataclass(frozen=True)
class Rate:
    """Of one round."""

    notes_per_second: float
    processor_ms_per_note: float


@dataclass(frozen=True)
class Cost:
    """Of single requests, in milliseconds: the median latency, the mean processor time of this process."""

    latency: float
    processor: float


def server_seconds(server: TritonServer) -> float:
    """Processor time that the server and the processes of its models have used."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            fields = stat.read_text().rsplit(")", 1)[1].split()
            session, user, system = (int(fields[position]) for position in (3, 11, 12))
            ticks += (user + system) * (session == server.pid)
    return ticks / os.sysconf("SC_CLK_TCK")


async def throughput(encoder: Encoder, texts: list[str], server: TritonServer) -> Rate:
    """Micro-batches, two under way, as a worker keeps them."""
    batches = [texts[start : start + BATCH] for start in range(0, len(texts), BATCH)]
    two = asyncio.Semaphore(2)

    async def one(batch: list[str]) -> None:
        async with two:
            await encoder.encode(batch)

    began, used = time.perf_counter(), time.process_time() + server_seconds(server)
    await asyncio.gather(*(one(batch) for batch in batches))
    seconds = time.perf_counter() - began
    used = time.process_time() + server_seconds(server) - used
    return Rate(len(texts) / seconds, used / len(texts) * 1e3)


async def cost(ask: Callable[[], Awaitable[object]]) -> Cost:
    """One request after the other."""
    latencies, processor = [], time.process_time()
    for _ in range(SINGLE_REQUESTS):
        began = time.perf_counter()
        await ask()
        latencies.append(time.perf_counter() - began)
    processor = time.process_time() - processor
    return Cost(statistics.median(latencies) * 1e3, processor / SINGLE_REQUESTS * 1e3)


async def main(notes: int, rounds: int) -> None:
    """Print the figures as a table of benchmarks/RESULTS.md."""
    bundle = Bundle.load(default_bundle_path())
    texts = [note_text(note) for note in make_notes(notes, seed=1)]
    in_process = load_encoder(bundle)
    with TritonServer(REPOSITORY) as server:
        triton = load_triton_encoder(load_settings(triton_url=server.url), bundle)
        expected, got = await in_process.encode(texts), await triton.encode(texts)
        difference = float(np.abs(expected.vectors - got.vectors).max())
        here, there = [], []
        for _ in range(rounds):
            here.append(await throughput(in_process, texts, server))
            there.append(await throughput(triton, texts, server))
        short = ["train tickets"]
        alone, asked = await cost(lambda: in_process.encode(short)), await cost(lambda: triton.encode(short))
        await triton.close()
    in_process.pool.close()
    print(f"{available_cores()} cores, load {os.getloadavg()[0]:.1f}; {len(texts)} notes, {rounds} rounds\n")
    print("| figure | in process | Triton | |\n|---|---|---|---|")
    for name, values in (
        ("notes/s", [[rate.notes_per_second for rate in side] for side in (here, there)]),
        ("processor ms a note", [[rate.processor_ms_per_note for rate in side] for side in (here, there)]),
    ):
        ratios = [right / left for left, right in zip(*values, strict=True)]
        ratio = f"÷ {statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"
        print(
            f"| {name} | {statistics.median(values[0]):.1f} | {statistics.median(values[1]):.1f} | {ratio} |"
        )
    extra = f"{asked.latency - alone.latency:+.2f}"
    print(f"| one short text, ms | {alone.latency:.2f} | {asked.latency:.2f} | {extra} |")
    print(f"| processor ms of the client a request | {alone.processor:.2f} | {asked.processor:.2f} | |")
    print(f"| largest difference of a component | | {difference:.1e} | |")


def command() -> None:
    """Read the arguments and measure."""
    parser = parser_of(__doc__)
    parser.add_argument("--notes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.notes, arguments.rounds))


if __name__ == "__main__":
    run(command)
