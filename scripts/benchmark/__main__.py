"""Options, the choice of rows, and the run."""
import argparse
import fnmatch
import os
import signal
import sys
import tempfile
import time

from . import kernels, report, rows_archive, rows_image, rows_scale, rows_tree
from .inputs import Inputs

MEASURES = rows_image.measures() + rows_archive.measures() + rows_tree.measures() + rows_scale.measures() + kernels.measures()


class Bench:
    """What every row's measurement gets."""

    def __init__(self, options):
        self.repetitions = options.repetitions or (2 if options.quick else 5)
        self.several = min(self.repetitions, 3)  # of what takes many seconds
        self.quick, self.tiny = options.quick or options.tiny, options.tiny
        self.inputs = Inputs(options.work, options.tiny)


def parse(arguments):
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures pixfs against what people use today, side by side in one "
                                     "run on the same files; prints a table in Markdown and writes it as JSON.")
    parser.add_argument("row", nargs="*", help="rows by name (a pattern is fine: 'exr-*') or by set: " + " ".join(dict.fromkeys(m[1] for m in MEASURES)))
    parser.add_argument("--list", action="store_true", help="the rows' names and sets")
    parser.add_argument("--repetitions", type=int, metavar="N", help="of each side of each row (5)")
    parser.add_argument("--quick", action="store_true", help="two repetitions, fewer files: for trying, not for figures")
    parser.add_argument("--tiny", action="store_true", help="tiny inputs: only to see that it works")
    parser.add_argument("--check-vector", action="store_true", help="only tells whether the compiler vectorised the kernels; exit 1 where not")
    parser.add_argument("--work", default=os.path.join(tempfile.gettempdir(), "pixfs-bench"), help="where inputs are made and kept (%(default)s)")
    parser.add_argument("--json", default="build/bench.json", help="where the figures go (%(default)s)")
    return parser.parse_args(arguments)


def chosen(words):
    unknown = [word for word in words if not any(fnmatch.fnmatch(m[0], word) or m[1] == word for m in MEASURES)]
    if unknown:
        sys.exit(f"bench: no row or set named {' '.join(unknown)}; --list shows them")
    return [m for m in MEASURES if not words or any(fnmatch.fnmatch(m[0], word) or m[1] == word for word in words)]


def run(bench, measures):
    rows = []
    for name, _, measure in measures:
        start = time.monotonic()
        print(f"{name} ...", end=" ", flush=True)
        rows += measure(bench)
        print(f"{time.monotonic() - start:.1f} s", flush=True)
    return rows


def main():
    options = parse(sys.argv[1:])
    if options.list:
        print("\n".join(f"{name:24} {group}" for name, group, _ in MEASURES))
        return 0
    if options.check_vector:
        return kernels.check_vector()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that mounts end and temporary folders go
    bench = Bench(options)
    facts = report.machine()
    try:
        rows = run(bench, chosen(options.row))
    except KeyboardInterrupt:
        print("\nbench: interrupted", file=sys.stderr)
        return 130
    print("\n" + report.heading(facts, bench.repetitions) + "\n\n" + report.table(rows) + "\n\n" + report.below(rows))
    report.write_json(options.json, facts, bench.repetitions, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
