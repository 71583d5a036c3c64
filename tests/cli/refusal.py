"""What every refusal owes: the documented exit code, one line on stderr that names what is wrong, and nothing left behind."""

from __future__ import annotations

import executable


def assert_refused(result: executable.Result, codes: int | set[int], *mentions: str) -> None:
    """`mentions` are words of which each must be in the line (file, node or option)."""
    wanted = {codes} if isinstance(codes, int) else codes
    assert result.exit_code in wanted, f"wanted exit code {sorted(wanted)}\n{result.describe()}"
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, f"wanted one line on stderr\n{result.describe()}"
    for word in mentions:
        assert word in lines[0], f"wanted '{word}' in the message\n{result.describe()}"
    assert result.stdout == "", result.describe()


def run_quietly(*arguments: object, **options) -> executable.Result:
    """Without notices, so that stderr holds errors only."""
    return executable.run("-q", *arguments, **options)
