#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cases.py - prints random worlds, how they change, and what must become of new flows, one JSON object a line.

    cases.py [--seed N] [--count N] [--regressions FOLDER]

What reads them (test_oracle.c) brings the documents into the kernel and asks the programs there:

    {"world": NAME, "endpoints": [...], "node_addresses": [...]}    everything begins anew
    {"load": SOURCE, "text": "..."} / {"drop": SOURCE}              a file that is there now, or no longer
    {"time": SECONDS}                                                what the clock says from now on
    {"judge": true}                                                  what has been said so far is in force now
    {"ask": {...}, "want": {...}}                                    of what has been loaded so far

What has once gone wrong stands in tests/oracle/regressions (shrink.py writes it) and is asked first.
"""

import argparse
import ipaddress
import json
import pathlib
import random
import sys

from case import Case, as_json, wanted
from oracle import World, evaluate
from worlds import NODE_ADDRESSES, Generator

CHANGES = 12  # a world
QUESTIONS = 25  # after each of them


def say(**line):
    print(json.dumps(line, separators=(",", ":")))


def load(generator, source):
    item = generator.sources.get(source)
    if item is None:
        say(drop=source)
    else:
        say(load=source, text=json.dumps(item))


def ask(generator, world):
    question = generator.question()
    say(ask=as_json(question), want=wanted(evaluate(world, question)))


def regressions(folder):
    """Each as it was found; what is wanted must still be what the documents say."""
    for path in sorted(pathlib.Path(folder).glob("*.json")):
        case = Case.load(path)
        lines = case.lines(f"regressions/{path.name}")
        if wanted(case.answer()) != case.want:
            sys.exit(f"cases.py: {path}: want is not what the documents say: {wanted(case.answer())}")
        for line in lines:
            say(**line)
        say(ask=case.ask, want=case.want)


def one_world(seed, left):
    generator = Generator(random.Random(seed))
    generator.populate()
    say(
        world=f"{seed}",
        endpoints=[{"namespace": k[0], "pod": k[1], "uid": f"uid-{k[0]}-{k[1]}", "addresses": a} for k, a in sorted(generator.local.items())],
        node_addresses=NODE_ADDRESSES,
    )
    say(time=generator.now)
    arriving = sorted(generator.sources)
    generator.random.shuffle(arriving)
    for source in arriving:
        load(generator, source)
    local = {key: [ipaddress.ip_address(a) for a in addresses] for key, addresses in generator.local.items()}
    node = [ipaddress.ip_address(a) for a in NODE_ADDRESSES]
    asked = 0
    for _ in range(CHANGES):
        world = World(generator.sources.values(), local, node, generator.now)
        for _ in range(min(QUESTIONS, left - asked)):
            ask(generator, world)
            asked += 1
        for _ in range(generator.pick([1, 1, 1, 2, 4])):
            load(generator, generator.change())
        if generator.chance(15):
            generator.pass_time()
            say(time=generator.now)
    return asked


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--count", type=int, default=1000, help="questions")
    parser.add_argument("--regressions", default=pathlib.Path(__file__).parent / "regressions", help="folder of what is asked first")
    args = parser.parse_args()
    regressions(args.regressions)
    asked, seed = 0, args.seed
    while asked < args.count:
        asked += one_world(seed, args.count - asked)
        seed += 1


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # who reads has seen enough
        sys.stderr.close()
