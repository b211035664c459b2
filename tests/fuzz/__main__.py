"""`python -m tests.fuzz --seconds N --seed S`: a long run, its findings kept where `--keep` says."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import run


def main() -> int:
    """Exit 1 where anything failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long")
    parser.add_argument("--seed", type=int, default=1, help="mutants are made of this and their number alone")
    parser.add_argument("--first", type=int, default=0, help="number of the first mutant")
    parser.add_argument("--most", type=int, help="how many mutants at most")
    parser.add_argument("--keep", type=Path, help="a folder for what fails, made small")
    options = parser.parse_args()
    figures = run(
        options.seed, options.seconds, options.keep, lambda says: print(says, flush=True), options.first, options.most
    )
    print(figures)
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
