"""Show what Keras on arrays waits for: `python -m benchmarks.run --only stall`.

First tf.data alone: what it takes to read from a data set for a while and close its iterator.
Then the lesson's network, on arrays and on data sets without autotuning. See README.md here.
"""

import argparse
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import keras
import numpy as np
import tensorflow as tf

from benchmarks import plain
from benchmarks.table import number, table

READ_SECONDS = 0.4


@contextmanager
def busy_cores(threads: int) -> Iterator[None]:
    """Multiply matrices in the background."""
    stop = threading.Event()
    matrix = np.ones((600, 600))

    def work() -> None:
        while not stop.is_set():
            matrix @ matrix

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        stop.set()
        for worker in workers:
            worker.join()


def read_and_close(autotune: bool) -> float:
    """Return the seconds it takes to read for READ_SECONDS and to close the iterator."""
    options = tf.data.Options()
    options.autotune.enabled = autotune
    dataset = tf.data.Dataset.range(10**6).map(lambda i: i, num_parallel_calls=tf.data.AUTOTUNE)
    iterator = iter(dataset.with_options(options))
    start = time.perf_counter()
    while time.perf_counter() - start < READ_SECONDS:
        next(iterator)
        time.sleep(0.02)
    del iterator
    return time.perf_counter() - start


def measure_tf_data(repetitions: int) -> str:
    """Return how often which times occur when an iterator is closed."""
    lines = []
    for threads in (0, 2):
        for autotune in (True, False):
            with busy_cores(threads):
                seconds = [read_and_close(autotune) for _ in range(repetitions)]
            counts = sorted(Counter(f"{value:.1f}" for value in seconds).items())
            times = ", ".join(f"{count} x {value} s" for value, count in counts)
            lines.append(["busy" if threads else "idle", "on" if autotune else "off", times])
    return table(["cores", "autotuning", "times"], lines)


def measure_fit(arrays: bool, epochs: int, train: int, val: int) -> list[float]:
    """Return the seconds of each epoch, and from the last one's end to the end of `fit`."""
    images, labels = (
        plain.read_images("train", train + val),
        plain.read_labels("train", train + val),
    )
    parts = ((images[:train], labels[:train]), (images[train:], labels[train:]))
    model = plain.build_network()
    times = [time.perf_counter()]
    note = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: times.append(time.perf_counter()))
    options = {"epochs": epochs, "verbose": 0, "callbacks": [note]}
    if arrays:
        model.fit(*parts[0], batch_size=64, validation_data=parts[1], **options)
    else:
        model.fit(
            plain.untuned(*parts[0], 64, shuffle=True),
            validation_data=plain.untuned(*parts[1], 64),
            **options,
        )
    times.append(time.perf_counter())
    return [end - start for start, end in pairwise(times)]


def seconds_and_cores(work: Callable[[], object]) -> str:
    """Run `work`; return its time and how many cores it kept busy on average."""
    start, used = time.perf_counter(), time.process_time()
    work()
    seconds = time.perf_counter() - start
    return f"{number(seconds)} ({(time.process_time() - used) / seconds:.1f})"


def measure_inference(repetitions: int, samples: int) -> str:
    """Return the times of `evaluate` and `predict`, arrays and data sets in turns."""
    images, labels = plain.read_images("t10k", samples), plain.read_labels("t10k", samples)
    dataset, model = plain.untuned(images, labels, 32), plain.build_network()
    calls: dict[str, Callable[[], object]] = {
        "evaluate, arrays": lambda: model.evaluate(images, labels, verbose=0),
        "evaluate, data set": lambda: model.evaluate(dataset, verbose=0),
        "predict, arrays": lambda: model.predict(images, verbose=0),
        "predict, data set": lambda: model.predict(dataset, verbose=0),
    }
    lines = {name: [name] for name in calls}
    for _ in range(repetitions):
        for name, call in calls.items():
            lines[name].append(seconds_and_cores(call))
    runs = (f"run {run}" for run in range(1, repetitions + 1))
    return table(["s (cores busy)", *runs], lines.values())


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--small", action="store_true")
    small = parser.parse_args().small
    repetitions, epochs, train, val, test = (
        (3, 2, 200, 50, 300) if small else (25, 6, 2000, 500, 10000)
    )
    print(f"Read for {READ_SECONDS} s and close:\n\n{measure_tf_data(repetitions)}\n")
    fits = [
        [name, *map(number, measure_fit(name == "arrays", epochs, train, val))]
        for name in ("arrays", "data set", "arrays", "data set")
    ]
    header = ["`fit`, s", *(f"epoch {epoch}" for epoch in range(1, epochs + 1)), "end"]
    print(f"{table(header, fits)}\n")
    print(measure_inference(2 if small else 5, test))


if __name__ == "__main__":
    main()
