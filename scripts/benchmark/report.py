"""The table, in Markdown, and what is said below it."""
import json
import os
import platform

from . import peers
from .measure import PIXFS


def quantity(value, unit):
    if unit == "s":
        for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
            if value * factor >= 1 or name == "µs":
                return f"{value * factor:.3g} {name}" if value * factor < 1000 else f"{value * factor:.0f} {name}"
    if unit == "bytes":
        return f"{value / 1e6:.0f} MB" if value >= 1e6 else f"{value:.0f} B"
    if unit == "B/s":
        return f"{value / 1e9:.2f} GB/s"
    return f"{value:.4g}" + (f" {unit}" if unit else "")


def spread(row, side):
    figures = row.times[side]
    middle = quantity(row.median(side), row.unit)
    if len(figures) == 1:
        return middle
    return f"{middle} [{quantity(min(figures), row.unit)} .. {quantity(max(figures), row.unit)}]"


def verdict(row):
    ratio = row.ratio()
    if ratio is None:
        return ""
    if 0.98 <= ratio <= 1.02:
        return "the same"
    return f"{1 / ratio:.2f}x faster" if ratio < 1 else f"{ratio:.2f}x slower"


def aim(row):
    if row.target is None:
        return ""
    target = quantity(row.target, row.unit) if row.kind == "limit" else f"{row.target:.3g}"
    return f"{target} {'met' if row.met() else '**not met**'}" if row.met() is not None else target


def table_line(row):
    if row.skipped:
        return [row.work, "-", "-", "-", f"skipped: {row.skipped}", aim(row)]
    peer = row.rival()
    ratio = "" if row.ratio() is None else f"{row.ratio():.2f}"
    return [row.work, spread(row, PIXFS), f"{peer} {spread(row, peer)}" if peer else "", ratio, verdict(row), aim(row)]


def table(rows):
    lines = [["work", "pixfs: median [min .. max]", "peer: the fastest, or the target's", "ratio", "pixfs is", "target"]]
    lines += [table_line(row) for row in rows]
    widths = [max(len(line[c]) for line in lines) for c in range(6)]
    text = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths)) for line in lines]
    text.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in text)


def groups(rows):
    """group -> True (all rows with a target meet it), False, or None (nothing measured)."""
    out = {}
    for row in rows:
        if row.target is None:
            continue
        known = out.setdefault(row.group, [])
        known.append(row.met())
    return {group: None if None in met and False not in met else all(met) for group, met in out.items()}


def below(rows):
    """Lines below the table: what is slower, what missed its target, other peers, notes."""
    lines = []
    slower = [f"{row.work} ({ratio:.2f})" for row in rows if (ratio := row.ratio(row.fastest_peer())) is not None and ratio > 1.02]
    lines.append("Slower than the fastest peer: " + ("; ".join(slower) if slower else "nothing") + ".")
    met = groups(rows)
    missed = [group for group, ok in met.items() if ok is False]
    lines.append(f"Targets met: {sum(ok is True for ok in met.values())} of {len(met)} groups of rows."
                 + (f" Not met: {'; '.join(missed)}." if missed else ""))
    left = [group for group, ok in met.items() if ok is None]
    if left:
        lines.append(f"Not measured, or in part: {'; '.join(left)}.")
    for row in rows:
        others = [f"{name} {quantity(row.median(name), row.unit)}" for name in row.peers() if name != row.rival()]
        told = (["others: " + ", ".join(others)] if others else []) + row.notes
        if row.times and row.fastest_peer() != row.rival():
            told.append(f"the fastest is {row.fastest_peer()}: ratio {row.ratio(row.fastest_peer()):.2f}")
        if told:
            lines.append(f"- {row.name}: " + "; ".join(told))
    return "\n".join(lines)


def cpu():
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        return next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), platform.machine())


def machine():
    return {"cpu": cpu(), "processors": len(os.sched_getaffinity(0)), "kernel": platform.release(), "load": os.getloadavg()[0],
            "versions": peers.versions()}


def heading(facts, repetitions):
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    text = (f"{facts['processors']} processors ({facts['cpu']}), Linux {facts['kernel']}; {versions}. Medians of {repetitions} where no "
            "other number is told, [smallest .. largest]; ratio = pixfs / fastest peer, below 1 pixfs is faster.")
    if facts["load"] > 0.5:
        text += f"\n**The machine was not idle: load {facts['load']:.1f} at the start.**"
    return text


def write_json(path, facts, repetitions, rows):
    met = groups(rows)
    whole = {"machine": facts, "repetitions": repetitions, "rows": [row.as_json() for row in rows], "groups": met}
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(whole, file, indent=1)
        file.write("\n")
