#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""e2e_tap.py - from what Ginkgo prints (-ginkgo.v) to TAP: a line for each test as it ends.

Exit status 0 if tests ran, all of them to their end, and none failed. Knows nothing of what they test.
"""
import re
import sys

# "• [12.345 seconds]", "• [FAILED] [12.345 seconds]"; the line after it names the test.
END = re.compile(r"^\S*(?:•|S)? ?\[(?P<state>FAILED|PANICKED|TIMEDOUT|INTERRUPTED|SKIPPED)?\]? ?\[?(?P<took>[\d.]+) seconds\]")
SUMMARY = re.compile(r"^Ran (\d+) of (\d+) Specs")
LABELS = re.compile(r" \[[^\]]*\]$")


def name_of(line):
    line = line.strip()
    while LABELS.search(line):  # labels are behind the name
        line = LABELS.sub("", line)
    return line


def main():
    total = failed = 0
    ran = None
    ended = None
    for line in sys.stdin:
        if ended and line.strip():
            total += 1
            is_bad = ended["state"] not in (None, "SKIPPED")
            failed += is_bad
            skip = " # SKIP by the test itself" if ended["state"] == "SKIPPED" else ""
            print(f"{'not ' if is_bad else ''}ok {total} - {name_of(line)} ({float(ended['took']):.0f} s){skip}", flush=True)
            ended = None
        ended = END.match(line) or ended
        if match := SUMMARY.match(line):
            ran = int(match[1])
    print(f"1..{total}")
    if ran is None:
        print("# the tests did not run to their end", file=sys.stderr)
    elif ran == 0:
        print("# no test matched", file=sys.stderr)
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
