"""Timing in turns, and what is known of a row when it is done."""
import gc
import statistics
import time
from dataclasses import dataclass, field
from typing import Callable, Optional

PIXFS = "pixfs"


@dataclass
class Side:
    """One of those that are compared. run(i) is timed, prepare(i) before it isn't."""
    name: str
    run: Callable
    prepare: Optional[Callable] = None
    most: Optional[int] = None  # repetitions at most: for a slow one that is clearly not the fastest


def once(side, i):
    if side.prepare:
        side.prepare(i)
    start = time.perf_counter()
    result = side.run(i)
    seconds = time.perf_counter() - start
    del result
    return seconds


def take_turns(sides, repetitions, warm_up=True, rotate=False):
    """name -> seconds of each repetition; i counts from 1, 0 is the repetition that isn't counted. rotate: who comes first changes."""
    times = {side.name: [] for side in sides}
    gc.collect()
    gc.disable()
    try:
        for i in range(0 if warm_up else 1, repetitions + 1):
            first = i % len(sides) if rotate else 0
            for side in sides[first:] + sides[:first]:
                if i > 0 and side.most is not None and i > side.most:
                    continue
                seconds = once(side, i)
                if i > 0:
                    times[side.name].append(seconds)
    finally:
        gc.enable()
    return times


@dataclass
class Row:
    """A line of the table. kind: ratio (of pixfs to the fastest peer), limit (a figure of pixfs' own) or told (no target)."""
    name: str
    group: str
    work: str
    times: dict = field(default_factory=dict)  # side -> figures; "pixfs" is one of them
    target: Optional[float] = None
    unit: str = "s"
    kind: str = "ratio"
    notes: list = field(default_factory=list)
    skipped: str = ""
    more_is_better: bool = False  # bytes a second
    against: str = ""  # the peer that the target names; else the fastest

    def median(self, side):
        return statistics.median(self.times[side])

    def peers(self):
        return [name for name in self.times if name != PIXFS]

    def fastest_peer(self):
        best = max if self.more_is_better else min
        return best(self.peers(), key=self.median) if self.peers() else None

    def rival(self):
        """Whom the table compares with."""
        return self.against if self.against in self.times else self.fastest_peer()

    def ratio(self, peer=None):
        """To the rival; to another where it is named."""
        peer = peer or self.rival()
        if self.skipped or peer is None or self.median(peer) == 0 or PIXFS not in self.times:
            return None
        ratio = self.median(PIXFS) / self.median(peer)
        return 1 / ratio if self.more_is_better else ratio

    def value(self):
        """What is held against the target."""
        if self.skipped:
            return None
        return self.median(PIXFS) if self.kind == "limit" else self.ratio()

    def met(self):
        """True, False, or None where there is nothing to hold against a target."""
        value = self.value()
        if value is None or self.target is None:
            return None
        return value <= self.target

    def as_json(self):
        sides = {}
        for name, figures in self.times.items():
            sides[name] = {"median": statistics.median(figures), "min": min(figures), "max": max(figures), "all": figures}
        return {"name": self.name, "group": self.group, "work": self.work, "kind": self.kind, "unit": self.unit, "sides": sides,
                "fastest_peer": None if self.skipped else self.fastest_peer(), "compared_with": None if self.skipped else self.rival(), "ratio": self.ratio(), "value": self.value(),
                "target": self.target, "met": self.met(), "skipped": self.skipped or None, "notes": self.notes}
