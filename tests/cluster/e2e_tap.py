#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""e2e_tap.py - from what Ginkgo prints (-ginkgo.v) to TAP: a line for each test as it ends.

Exit status 0 if tests ran, all of them to their end, and none failed. Knows nothing of what they test.
"""
import re
import sys

NAME = re.compile(r"^(\[sig-[a-z-]+\] .*)")
END = re.compile(r"^(?:•|S) (?:\[(?P<state>[A-Z ]+)\] )?\[(?P<took>[\d.]+) seconds\]")
SUMMARY = re.compile(r"^Ran (\d+) of \d+ Specs")
LABELS = re.compile(r" \[[^\]]*\]$")


def without_labels(name):
    while LABELS.search(name):
        name = LABELS.sub("", name)
    return name


def tap_line(number, name, end):
    is_bad = end["state"] not in (None, "SKIPPED")
    skip = " # SKIP by the test itself" if end["state"] == "SKIPPED" else ""
    return f"{'not ' if is_bad else ''}ok {number} - {without_labels(name)} ({float(end['took']):.0f} s){skip}"


def main():
    name = ran = None
    total = failed = skipped = 0
    for line in sys.stdin:
        if match := NAME.match(line):
            name = match[1].strip()
        elif name and (end := END.match(line)):
            total += 1
            text = tap_line(total, name, end)
            failed += text.startswith("not")
            skipped += "# SKIP" in text
            print(text, flush=True)
            name = None
        elif match := SUMMARY.match(line):
            ran = int(match[1])
    print(f"1..{total}")
    if ran is None:
        print("# the tests did not run to their end", file=sys.stderr)
    elif ran != total - skipped or not ran:
        print(f"# {ran} tests ran, {total - skipped} were seen to end", file=sys.stderr)
    return 1 if failed or not ran or ran != total - skipped else 0


if __name__ == "__main__":
    sys.exit(main())
