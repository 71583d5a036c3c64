"""From measurements to verdicts and tables: medians, spreads, ratios paired round by round, floors met or missed."""

from __future__ import annotations

import statistics

OURS = "sparse-run"


def spread(values: list[float]) -> float:
    """How far rounds lie apart, as a share of their median."""
    return (max(values) - min(values)) / statistics.median(values)


def paired_ratio(numerator: list[float], denominator: list[float]) -> dict:
    """Ratio of what was measured in the same round, so that a slow phase of the machine hits both sides."""
    ratios = [a / b for a, b in zip(numerator, denominator)]
    return {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}


def judge_floor(floor: dict, engines: dict) -> dict:
    """A floor asks for a speed-up over the fastest of some peers. It cannot be judged without any of them."""
    measured = [name for name in floor["over"] if "rounds_ms" in engines.get(name, {})]
    if not measured or "rounds_ms" not in engines.get(OURS, {}):
        return {**floor, "verdict": "not measured"}
    fastest = min(measured, key=lambda name: statistics.median(engines[name]["rounds_ms"]))
    ratio = paired_ratio(engines[fastest]["rounds_ms"], engines[OURS]["rounds_ms"])["median"]
    verdict = "met" if ratio >= floor["speedup"] else "missed"
    return {**floor, "against": fastest, "measured": ratio, "verdict": verdict}


def judge_limit(limit: dict, engines: dict) -> dict:
    """A limit allows a multiple of what a peer needs to load, in time or memory."""
    ours, theirs = (engines.get(name, {}).get("loaded") for name in (OURS, limit["over"]))
    if not ours or not theirs:
        return {**limit, "verdict": "not measured"}
    ratio = ours[limit["measure"]] / theirs[limit["measure"]]
    return {**limit, "measured": ratio, "verdict": "met" if ratio <= limit["factor"] else "missed"}


def judge(case: dict, limits: list[dict]) -> None:
    """Adds medians, ratios and verdicts to a measured case."""
    engines = case["engines"]
    for name, engine in engines.items():
        if "rounds_ms" not in engine:
            continue
        engine["median_ms"] = statistics.median(engine["rounds_ms"])
        engine["spread"] = spread(engine["rounds_ms"])
        if name != OURS and "rounds_ms" in engines.get(OURS, {}):
            engine["speedup_of_ours"] = paired_ratio(engine["rounds_ms"], engines[OURS]["rounds_ms"])
    case["floors"] = [judge_floor(floor, engines) for floor in case["floors"]]
    case["limits"] = [judge_limit(limit, engines) for limit in limits]


def title(case: dict) -> str:
    return f"{case['model']} {case['zeros']:.0%} b{case['batch']}"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table whose columns line up when it is read as plain text; all but the first align right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]

    def line(cells: list[str]) -> str:
        padded = [cells[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(cells[1:], widths[1:]))]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join(["-" * (widths[0] + 2), *("-" * (w + 1) + ":" for w in widths[1:])]) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def time_cell(engine: dict) -> str:
    if "median_ms" not in engine:
        return "failed" if "error" in engine else "-"
    return f"{engine['median_ms']:.3g} ±{engine['spread'] / 2:.0%}"


def floor_cell(floor: dict) -> str:
    over = "/".join(floor["over"])
    if floor["verdict"] == "not measured":
        return f"{over} ≥{floor['speedup']:g}×: not measured"
    return f"{floor['against']} {floor['measured']:.2f}× ≥{floor['speedup']:g}×: {floor['verdict']}"


def tables(results: dict) -> str:
    """Everything a person wants to see, as Markdown."""
    names = results["engines"]
    cases = results["cases"]
    parts = [f"ms per batch on {results['threads']} threads: median of {results['rounds']} rounds ± half their spread\n"]
    rows = [
        [title(case), *(time_cell(case["engines"].get(name, {})) for name in names),
         "; ".join(map(floor_cell, case["floors"])) or "-"]
        for case in cases
    ]
    parts.append(markdown(["model, zeros, batch", *names, "floors"], rows))

    peers = [name for name in names if name != OURS]
    rows = []
    for case in cases:
        cells = []
        for name in peers:
            ratio = case["engines"].get(name, {}).get("speedup_of_ours")
            cells.append(f"{ratio['median']:.2f}× ({ratio['least']:.2f}–{ratio['most']:.2f})" if ratio else "-")
        rows.append([title(case), *cells])
    if peers:
        parts.append(f"\nhow many times faster than each peer {OURS} is: median of paired rounds (least–most)\n")
        parts.append(markdown(["model, zeros, batch", *peers], rows))

    rows = []
    for case in cases:
        cells = []
        for name in names:
            loaded = case["engines"].get(name, {}).get("loaded")
            cells.append(f"{loaded['load_first_run_s']:.2f} s, {loaded['peak_rss_mb']:.0f} MB" if loaded else "-")
        verdicts = [
            f"{limit['measure']} {limit['measured']:.2f}× ≤{limit['factor']:g}×: {limit['verdict']}"
            for limit in case["limits"] if "measured" in limit
        ]
        rows.append([title(case), *cells, "; ".join(verdicts) or "-"])
    parts.append("\nload + first run, peak memory (of Python peers: in excess of the bare interpreter, imports not timed)\n")
    parts.append(markdown(["model, zeros, batch", *names, "limits"], rows))

    verdicts = [entry["verdict"] for case in cases for entry in [*case["floors"], *case["limits"]]]
    counts = ", ".join(f"{verdicts.count(v)} {v}" for v in ("met", "missed", "not measured"))
    parts.append(f"\nfloors and limits: {counts}")
    return "\n".join(parts)
