"""The plot of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.sections import NAMES

WHERE = {"latency": "sandbox behind latency", "costs": "simulated costs", "real": "real server"}


def draw(data: dict[str, Any], path: Path) -> None:
    """Draw what there is: time by client, page by depth, memory over time."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    with_clients = [name for name in WHERE if data.get(name)]
    panels = 2 * len(with_clients) + bool(data.get("memory"))
    if not panels:
        return
    figure, axes = pyplot.subplots(panels, 1, figsize=(9, 3.2 * panels), squeeze=False, layout="constrained")
    places = iter(axes[:, 0])
    for name in with_clients:
        bars(next(places), WHERE[name], data[name]["clients"])
        depths(next(places), WHERE[name], data[name]["depth"])
    if found := data.get("memory"):
        memory(next(places), found)
    figure.savefig(path)
    pyplot.close(figure)


def bars(axis: Any, where: str, clients: dict[str, Any]) -> None:
    names = sorted(clients, key=lambda name: -clients[name]["seconds"])
    seconds = [clients[name]["seconds"] for name in names]
    axis.barh([NAMES[name] for name in names], seconds, color=["C1" if name == "espo" else "C7" for name in names])
    axis.bar_label(axis.containers[0], fmt="%.1f s", padding=3)
    axis.margins(x=0.15)
    axis.set_title(f"{clients['espo']['records']:,} records to NDJSON, {where}")
    axis.set_xlabel("seconds")


def depths(axis: Any, where: str, found: dict[str, Any]) -> None:
    for name, label in (("by_offset", "by offset, default order"), ("by_id", "by id")):
        axis.plot(found["depths"], [seconds * 1000 for seconds in found[name]], "o-", label=label)
    axis.set_ylim(bottom=0)
    axis.set_title(f"A page of 200, {where}")
    axis.set_xlabel("records before it")
    axis.set_ylabel("milliseconds")
    axis.legend()


def memory(axis: Any, found: dict[str, Any]) -> None:
    every = found["every_seconds"]
    grown = [sample - found["start_mb"] for sample in found["samples_mb"]]
    axis.plot([every * (n + 1) for n in range(len(grown))], grown)
    axis.set_title(f"Memory of the task above its start, {found['pages'] * 200:,} records")
    axis.set_xlabel("seconds")
    axis.set_ylabel("MB")
