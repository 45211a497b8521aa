"""Reads files in a process of its own, whose memory is limited and measured.

    python hostile.py [--arrays] FILE...

For each file it prints a line of JSON: the error or null, the seconds of the processor, and the
megabytes of memory above those before the file. Used as a module, it starts that process.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from limits import HANG

# Bounds against files that do far too much, not timings: on an idle machine each file takes less
# than 4 seconds and 200 megabytes.
SECONDS, MEGABYTES = 20, 300


def peak() -> float:
    """The most memory that this process has had, in megabytes.

    Not as ``getrusage`` has it, which counts what the parent had when it started the process.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def limit_memory() -> None:
    """Limit what this process may have to a gigabyte more than it has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (1 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def refusals(paths: list[Path], arrays: bool = False) -> list[str]:
    """The errors that files give, after checks that each was refused at little cost.

    Args:
        paths: The files.
        arrays: Whether to read their arrays only, without looking for a network of their names.
    """
    names = [*["--arrays"][: int(arrays)], *map(str, paths)]
    done = subprocess.run(
        [sys.executable, __file__, *names], capture_output=True, text=True, timeout=HANG
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    last = paths[min(len(results), len(paths) - 1)].name
    assert done.returncode == 0, f"{last}: {done.stderr[-500:] or done.returncode}"
    for path, (error, seconds, megabytes) in zip(paths, results, strict=True):
        assert seconds < SECONDS, path.name
        assert megabytes < MEGABYTES + 4 * path.stat().st_size / 2**20, path.name
        assert error is not None, f"{path.name} was read"
    return [error for error, *_ in results]


def assert_refused(
    folder: Path,
    files: Mapping[str, bytes],
    suffix: str,
    write: Callable[[Path, bytes], object] = Path.write_bytes,
) -> None:
    """Write files, and check that each is refused at little cost, in a short error with its path.

    Args:
        folder: Where they are written.
        files: What each does -> its bytes.
        suffix: The end of their names.
        write: Writes one.
    """
    paths = [folder / f"{number}{suffix}" for number in range(len(files))]
    for path, content in zip(paths, files.values(), strict=True):
        write(path, content)
    for kind, path, error in zip(files, paths, refusals(paths), strict=True):
        assert error.startswith(f"{path}: "), kind
        assert len(error) < 1_000, kind


#: Reads files that are the one of the first argument, damaged.
MUTANTS = """
import sys
from pathlib import Path
from damage import mutants
from hostile import limit_memory, peak
from zoo.errors import WeightsError
from zoo.weights.reading import readers
path, count = Path(sys.argv[1]), int(sys.argv[2])
good = path.read_bytes()
expected = {name: stored.read().tolist() for name, stored in readers.read(path).arrays.items()}
limit_memory()
before, refused, same, changed = peak(), 0, 0, 0
for damaged in mutants(good, count, 0):
    path.write_bytes(damaged)
    try:
        arrays = readers.read(path).arrays
        found = {name: stored.read().tolist() for name, stored in arrays.items()}
        same += found == expected
        changed += found != expected
    except WeightsError as error:
        assert str(path) in str(error) and "\\n" not in str(error), error
        refused += 1
assert peak() - before < 50, peak() - before
print(refused, same, changed)
"""


def outcomes(path: Path, count: int) -> tuple[int, int, int]:
    """How many damaged files are refused, give the arrays of the good one, or other arrays.

    They are read in a process of its own with a limit on its memory.
    """
    done = subprocess.run(
        [sys.executable, "-c", MUTANTS, str(path), str(count)],
        capture_output=True,
        text=True,
        timeout=HANG,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-1000:]
    return tuple(map(int, done.stdout.split()))


def read_arrays(name: str) -> None:
    from zoo.weights.reading import readers

    for array in readers.read(Path(name)).arrays.values():
        array.read()


def fill(name: str) -> None:
    from zoo.api.checkpoints import own_names
    from zoo.language.options import Chosen
    from zoo.weights import adaptation, loading

    checkpoint = loading.find(name, None, Chosen(), own_names())
    with checkpoint.verified():
        network = checkpoint.graph()
        _, value = adaptation.filling(network, checkpoint, dtype="float32")
        for parameter in network.parameters:
            value(parameter)


def main(names: list[str]) -> None:
    import zoo
    from zoo.api import checkpoints  # noqa: F401  (before memory is measured)
    from zoo.errors import ZooError

    use = fill
    if names[0] == "--arrays":
        use, names = read_arrays, names[1:]
    else:
        zoo.graph("vgg16")  # reads the language
    limit_memory()
    for name in names:
        Path("/proc/self/clear_refs").write_text("5")  # the peak is from here on
        before = peak()
        start, error = time.process_time(), None
        try:
            use(name)
        except ZooError as refusal:
            error = str(refusal)
        print(json.dumps([error, time.process_time() - start, peak() - before]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
