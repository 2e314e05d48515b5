"""Seconds from starting `expdiff demo` to the first painted picture of the built-in person, in fresh processes.

python -m benchmarks.first_picture [--rounds 5]        needs a display (xvfb-run -s "-screen 0 1600x1000x24" ...)
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

_CHILD = """
import os, sys, time
from viewer import app
make = app.make_window
def watched(*args, **named):
    window = make(*args, **named)
    def painted():
        print(time.time() - float(os.environ["EXPDIFF_STARTED"]), "torch" in sys.modules, flush=True)
        os._exit(0)
    window.viewport.painted.connect(painted)
    return window
app.make_window = watched
from engine.cli import main
main(["demo"])
"""


def main() -> int:
    """Print a markdown table: each start, and their median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    seconds: list[float] = []
    torch_loaded = False
    for _ in range(rounds + 1):  # the first compiles Python files and warms the disk
        started = {"EXPDIFF_STARTED": repr(time.time())}
        child = [sys.executable, "-c", _CHILD]
        found = subprocess.run(child, env={**os.environ, **started}, capture_output=True, text=True, timeout=120)
        if found.returncode or not found.stdout.strip():
            print(f"no picture came: {found.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
            return 1
        wall, loaded = found.stdout.split()
        seconds.append(float(wall))
        torch_loaded |= loaded == "True"
    print("| | median s | all s |")
    print("|---|--:|---|")
    print(
        f"| first picture | {statistics.median(seconds[1:]):.2f} | {', '.join(f'{each:.2f}' for each in seconds[1:])} |"
    )
    print(f"\nCold start {seconds[0]:.2f} s; torch loaded: {torch_loaded}; load average {os.getloadavg()[0]:.1f}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
