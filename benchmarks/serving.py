"""Put load on the scoring server: `python -m benchmarks.run --only serving`.

Each client has one connection and sends its next request when the last one is answered. The
clients are one process of threads, which shares the cores with the server: what is measured is a
machine that does both.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

from benchmarks.local_server import serving
from benchmarks.table import number, table

TEST_IMAGES = Path("data/prepared/test_images.npy")
SIZES = (1, 100)  # images in a request
CLIENTS = (1, 4)


def measure_client(port: int, bodies: list[bytes], seconds: float) -> list[float]:
    """Send requests for a while, and return the seconds that each took.

    Raises:
        RuntimeError: a request was not answered with predictions.
    """
    times: list[float] = []
    with closing(HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        end = time.perf_counter() + seconds
        while (start := time.perf_counter()) < end:
            body = bodies[len(times) % len(bodies)]
            connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            times.append(time.perf_counter() - start)
            if answer.status != 200:
                raise RuntimeError(f"HTTP {answer.status}: {content.decode()}")
    return times


def measure_clients(port: int, bodies: list[bytes], clients: int, seconds: float) -> list[float]:
    """Let several clients send requests at once; return the seconds that each request took."""
    with ThreadPoolExecutor(clients) as pool:
        calls = [pool.submit(measure_client, port, bodies, seconds) for _ in range(clients)]
        return [took for call in calls for took in call.result()]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=20, help="for each line (default: 20)")
    seconds = parser.parse_args().seconds
    images = np.load(TEST_IMAGES)
    rows = []
    with serving("pipeline.serve") as address:
        port = urlsplit(address).port or 80
        for size in SIZES:
            starts = range(0, min(len(images), 10 * size), size)
            batches = (images[start : start + size].tolist() for start in starts)
            bodies = [json.dumps({"inputs": batch}).encode() for batch in batches]
            measure_clients(port, bodies, 1, seconds / 10)  # warm up
            for clients in CLIENTS:
                start = time.perf_counter()
                times = measure_clients(port, bodies, clients, seconds)
                rate = len(times) / (time.perf_counter() - start)
                tail = [1000 * float(np.percentile(times, percent)) for percent in (50, 99)]
                counts = map(str, (size, clients, len(times)))
                rows.append([*counts, *map(number, (rate, rate * size, *tail))])
    header = ["images in a request", "clients", "requests", "requests/s", "images/s"]
    print(table([*header, "median, ms", "p99, ms"], rows))


if __name__ == "__main__":
    main()
