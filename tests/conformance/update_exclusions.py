#!/usr/bin/env python3
"""Runs every node test case, lists what does not pass by category and operator, and with --write renews exclusions.txt.

Only proper refusals enter the list; wrong answers, crashes and other exit codes are for a person to mend.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from conformance import exclusions  # noqa: E402
from conformance.judge import Outcome, judge  # noqa: E402
from conformance.node_cases import all_cases  # noqa: E402


def reason_of(complaint: str) -> str:
    """The refusal without the program's and the file's name in front."""
    return re.sub(r"^.*?model\.onnx:\s*", "", complaint).replace("\t", " ").strip()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the refused cases to exclusions.txt")
    parser.add_argument("--match", default="", help="only cases whose name matches this regular expression")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--verbose", action="store_true", help="print what each failing case said")
    options = parser.parse_args()
    if options.write and options.match:
        parser.error("--write needs all cases: leave out --match")

    cases = [case for case in all_cases() if re.search(options.match, case.name)]
    start = time.monotonic()
    with ThreadPoolExecutor(options.jobs) as pool:
        judgements = dict(zip((case.name for case in cases), pool.map(judge, cases)))
    by_outcome = collections.Counter(judgement.outcome for judgement in judgements.values())
    print(f"{len(cases)} cases in {time.monotonic() - start:.1f} s")
    for outcome in Outcome:
        print(f"{by_outcome[outcome]:5d} {outcome.value}")

    for outcome in Outcome:
        if outcome is Outcome.PASSED or not by_outcome[outcome]:
            continue
        groups = collections.defaultdict(list)
        for case in cases:
            if judgements[case.name].outcome is outcome:
                groups[case.operators[0] if case.operators else "(no operator)"].append(case.name)
        print(f"\n== {outcome.value}")
        for operator, names in sorted(groups.items(), key=lambda entry: -len(entry[1])):
            print(f"{operator}: {len(names)}: {' '.join(names)}")
            complaints = collections.Counter(judgements[name].complaint for name in names)
            for complaint, count in complaints.most_common(None if options.verbose else 2):
                print(f"    {count} × {reason_of(complaint)}")

    excluded = exclusions.read()
    unexpected = sorted(n for n in excluded if n in judgements and judgements[n].outcome is Outcome.PASSED)
    if unexpected:
        print(f"\nexcluded but passing: {' '.join(unexpected)}")
    if options.write:
        refused = {n: reason_of(j.complaint) for n, j in judgements.items() if j.outcome is Outcome.REFUSED}
        # A reason that a person wrote is kept.
        exclusions.write({name: excluded.get(name, reason) for name, reason in refused.items()})
        print(f"\n{len(refused)} exclusions written to {exclusions.PATH}")
    listed = excluded if not options.write else exclusions.read()
    good = all(j.outcome is (Outcome.REFUSED if n in listed else Outcome.PASSED) for n, j in judgements.items())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
