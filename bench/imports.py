"""Measures an import through the API and the bare SQL that stores the same, in turns.

The service runs in a process of its own and gets the file over HTTP. The values of the bare SQL are prepared before
the time is taken. So the ratio shows the cost of everything but the database: HTTP, CSV, rules, outcomes, Python.
"""

from pathlib import Path
from statistics import mean

from app.limits import Limits
from app.platform.clock import SystemClock
from bench.bare_sql import BareSql
from bench.databases import Databases
from bench.population import draw_learners
from bench.rosters import Service, count_seconds, serve, write_roster

_ROUNDS = 2


def measure(databases: Databases, rows: int) -> None:
    """Print the rows per second of both: all learners new, half of them changed, and the reverts.

    The ratio says how many times as long the service takes.
    """
    drawn = list(draw_learners(rows, SystemClock().now()))
    folder = databases.new_folder()
    rosters = {
        "all new": write_roster(folder / "new.csv", drawn),
        "half changed": write_roster(folder / "changed.csv", drawn, deactivated="No"),
    }
    seconds: dict[str, list[tuple[float, float]]] = {what: [] for what in rosters}
    memory = (0.0, 0.0)
    for turn in range(_ROUNDS):
        bare = BareSql(databases.new_url(), drawn, Limits().chunk_rows)
        with serve(databases) as service:
            idle = service.resident_mib()
            service.forget_peak()
            for what, roster in rosters.items():
                took = _time(service, bare, what, roster, turn)
                seconds[what].append(took)
            reverts = [service.revert(operation) for operation in service.list_imports()]
            memory = max(memory, (service.resident_mib("VmHWM") - idle, idle))
    print(f"\n{f'Import of {rows:,} rows':<38} {'service':>12} {'bare SQL':>12} {'ratio':>8}")
    for what, taken in seconds.items():
        ours, theirs = (rows / mean(each) for each in zip(*taken, strict=True))
        print(f"{what:<38} {ours:>10,.0f}/s {theirs:>10,.0f}/s {theirs / ours:>8.2f}")
    for revert in reverts:
        counts = ", ".join(f"{count:,} {outcome}" for outcome, count in revert["counts"].items() if count)
        print(f"{'revert':<38} {revert['progress']['total'] / count_seconds(revert):>10,.0f}/s  {counts}")
    growth, idle = memory
    print(
        f"{'resident memory':<38} {idle:.0f} MiB idle, {idle + growth:.0f} MiB at the peak: +{growth:.0f} MiB"
    )


def _time(service: Service, bare: BareSql, what: str, roster: Path, turn: int) -> tuple[float, float]:
    def ours() -> float:
        operation, seconds = service.run(roster)
        if operation["state"] != "succeeded" or operation["counts"]["invalid"]:
            raise SystemExit(f"the import failed: {operation}")
        return seconds

    def theirs() -> float:
        return bare.insert_all() if what == "all new" else bare.deactivate_half()

    if turn % 2:
        later = theirs()
        return ours(), later
    return ours(), theirs()
