#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run.py CLUSTER-FOLDER TOP TRAFFIC [NAME...]: the matrix over a running cluster with Berm, as TAP.

Of the cases those whose name or title has one of the words NAME, else all.
"""
import sys
import time
import traceback

from bed import Bed, Failure
from cases import CASES
from world import World


def say(text):
    print(text, flush=True)


def run_case(world, function):
    """None, or why it failed."""
    try:
        function(world)
        return None
    except Failure as failure:
        return str(failure)
    except Exception: # of the test itself; the others go on
        return traceback.format_exc()


def run_all(world, cases):
    bad = 0
    for number, (name, title, function) in enumerate(cases, 1):
        start, cells = time.monotonic(), world.cells
        why = run_case(world, function)
        why = run_case(world, lambda w: w.clear()) or why if not why else (run_case(world, lambda w: w.clear()), why)[1]
        for line in (why or "").splitlines():
            say(f"# {line}")
        say(f"{'not ok' if why else 'ok'} {number} - {name}: {title}")
        say(f"# {name}: {world.cells - cells} cells in {time.monotonic() - start:.1f} s")
        bad += bool(why)
    return bad


def main():
    folder, top, traffic, *words = sys.argv[1:]
    cases = [c for c in CASES if not words or any(w in c[0] or w in c[1] for w in words)]
    start = time.monotonic()
    world = World(Bed(folder, top), traffic)
    try:
        world.make()
        say(f"# the pods are there after {time.monotonic() - start:.1f} s")
        bad = run_all(world, cases)
    except Failure as failure:
        for line in str(failure).splitlines():
            say(f"# {line}")
        return 1 # no plan: that counts as a failure
    finally:
        world.close()
    say(f"# {world.cells} cells in {time.monotonic() - start:.0f} s")
    say(f"1..{len(cases)}")
    return 1 if bad else 0


sys.exit(main())
