"""All benchmarks that need no dataset, one after another: ``python -m benchmarks``."""

import subprocess
import sys

from benchmarks.command import parser_of, run

BENCHMARKS = ("one_note", "pass_through", "pipeline", "recall_cost")


def main() -> None:
    """Run each in a process of its own; end with the first failure's status."""
    parser_of(f"{__doc__} It runs {', '.join(BENCHMARKS)}.").parse_args()
    for name in BENCHMARKS:
        print(f"\n== {name}", flush=True)
        status = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        if status:
            sys.exit(status)


if __name__ == "__main__":
    run(main)
