"""`python -m bench`: runs the benchmarks that the command line names."""

import argparse
import asyncio
import os
import platform
import sys

from bench import access, console, imports, kills, many, pages, plans, storage
from bench.databases import KINDS, Databases, databases, new_organization, open_prepared, server_version
from bench.population import gather_statistics, populate

_LEARNERS = 1_000_000
_ROWS = 100_000
_BENCHMARKS = ("plans", "pages", "import", "many", "access", "console", "storage")
_KILLS = "kills"


def main() -> None:
    """Run the benchmarks that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        description="Measure Rollcall on temporary databases. Compare numbers only within one run, because other "
        "load on the machine affects all of them.",
    )
    add = parser.add_argument
    choices = ["all", *_BENCHMARKS, _KILLS]
    add("benchmark", nargs="?", default="all", choices=choices, help="all runs every benchmark except kills")
    add("--database", default="both", choices=[*KINDS, "both"], help="the databases to measure")
    add(
        "--learners",
        type=int,
        default=_LEARNERS,
        help="learners, for plans, pages, many, console and storage",
    )
    add("--rows", type=int, default=_ROWS, help="rows of a file, for import, access and kills")
    add("--rounds", type=int, default=4, help="rounds on each database, for kills")
    add("--seed", type=int, default=1, help="random seed of the first round, for kills")
    add("--hits", type=int, default=8, help="most faults in one step, for kills")
    options = parser.parse_args()
    kinds = KINDS if options.database == "both" else [options.database]
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}")
    if options.benchmark == _KILLS:
        is_equal = kills.run(
            kinds, rows=options.rows, rounds=options.rounds, seed=options.seed, hits=options.hits
        )
        sys.exit(not is_equal)
    for kind in kinds:
        with databases(kind) as fresh:
            wants = set(_BENCHMARKS) if options.benchmark == "all" else {options.benchmark}
            if wants & {"plans", "pages"}:
                asyncio.run(_lists(fresh, options.learners, wants))
            if "import" in wants:
                imports.measure(fresh, options.rows)
            if "many" in wants:
                many.measure(fresh, options.learners)
            if "access" in wants:
                access.measure(fresh, options.rows)
            if "console" in wants:
                console.measure(fresh, options.learners)
            if "storage" in wants:
                storage.measure(fresh, options.learners)


async def _lists(fresh: Databases, learners: int, wants: set[str]) -> None:
    async with open_prepared(fresh.new_url()) as database:
        print(
            f"\n{await server_version(database)}, {learners:,} learners, and {plans.SMALL:,} in another organization"
        )
        large = await new_organization(database, "large")
        small = await new_organization(database, "small")
        await populate(database, small.id, plans.SMALL)
        await populate(database, large.id, learners)
        if "plans" in wants:
            await plans.measure(database, large, small)
        await gather_statistics(database)
        if "pages" in wants:
            await pages.measure(database, large)


main()
