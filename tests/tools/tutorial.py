#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a page of instructions: blocks `console` are commands behind '$ ' and what they print, blocks `yaml` that begin
with '# file: NAME' are files. Prints what differs; the exit status is 0 if nothing does.

Numbers and the width of gaps are not compared, a line '...' stands for any lines. What only looks (hack/demo ctl) is
asked again for a while, because changes take effect behind the command that makes them. Knows nothing of Berm else."""
import re
import subprocess
import sys
import time

PATIENCE_S = 10
COMMAND_S = 120


def blocks(text):
    for match in re.finditer(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S):
        yield match.group(1), match.group(2)


def commands(block):
    """Pairs of a command and the lines that are expected of it."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


def plain(line):
    return re.sub(r"\s+", " ", re.sub(r"\d+", "#", line)).strip()


def agrees(want, got):
    """Both are lists of lines; '...' in want is any number of lines."""
    if not want:
        return not got
    if want[0] == "...":
        return any(agrees(want[1:], got[n:]) for n in range(len(got) + 1))
    return bool(got) and plain(want[0]) == plain(got[0]) and agrees(want[1:], got[1:])


def output_of(command):
    # Into a file: what a command leaves running would hold a pipe open.
    with open("output", "w+", encoding="utf-8") as file:
        subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=file,
                       stderr=subprocess.STDOUT, timeout=COMMAND_S, check=False)
        file.seek(0)
        return file.read().splitlines()


def run(command, want):
    deadline = time.monotonic() + (PATIENCE_S if " ctl " in command else 0)
    while True:
        got = output_of(command)
        if agrees(want, got):
            return True
        if time.monotonic() >= deadline:
            print(f"$ {command}", *(f"want: {line}" for line in want),
                  *(f"got:  {line}" for line in got), sep="\n")
            return False
        time.sleep(0.2)


def main(page):
    ran = 0
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for kind, block in blocks(text):
        name = re.match(r"# file: (\S+)\n", block)
        if kind == "yaml" and name:
            with open(name.group(1), "w", encoding="utf-8") as file:
                file.write(block)
        elif kind == "console":
            for command, want in commands(block):
                if not run(command, want):
                    return 1
                ran += 1
    print(f"{ran} commands, all as told")
    return 0 if ran else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
