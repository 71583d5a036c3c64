"""Reads and writes the list of cases that the executable refuses, each with its reason."""

from __future__ import annotations

import pathlib

PATH = pathlib.Path(__file__).with_name("exclusions.txt")
HEADER = "# Node test cases that are refused with exit code 4: case, a tab, the reason. Checked by test_node_cases.py.\n"


def read(path: pathlib.Path = PATH) -> dict[str, str]:
    """Case to reason. A line without a reason, or a case named twice, is an error."""
    reasons: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        case, _, reason = line.partition("\t")
        if not reason.strip():
            raise ValueError(f"{path}:{number}: '{line}' gives no reason after a tab")
        if case in reasons:
            raise ValueError(f"{path}:{number}: {case} is listed twice")
        reasons[case] = reason.strip()
    return reasons


def write(reasons: dict[str, str], path: pathlib.Path = PATH) -> None:
    path.write_text(HEADER + "".join(f"{case}\t{reason}\n" for case, reason in sorted(reasons.items())))
