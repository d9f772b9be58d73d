"""`python -m bench`: which benchmarks to run, on which databases, at which size."""

import argparse
import asyncio
import os
import platform
import sys

from bench import access, console, imports, kills, many, pages, plans
from bench.databases import KINDS, Databases, databases, new_organization, opened, server_version
from bench.population import gather_statistics, populate

_LEARNERS = 1_000_000
_ROWS = 100_000
_BENCHMARKS = ("plans", "pages", "import", "many", "access", "console")
_KILLS = "kills"


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure Rollcall on databases that are thrown away afterwards. "
        "Compare within one run: what else the machine does is in every number.",
    )
    parser.add_argument("benchmark", nargs="?", default="all", choices=["all", *_BENCHMARKS, _KILLS])
    parser.add_argument("--database", default="both", choices=[*KINDS, "both"])
    parser.add_argument(
        "--learners", type=int, default=_LEARNERS, help="in plans, pages, many and console (%(default)s)"
    )
    parser.add_argument("--rows", type=int, default=_ROWS, help="in import, access and kills (%(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="in kills, on each database (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="in kills, of the first round (%(default)s)")
    parser.add_argument(
        "--hits", type=int, default=8, help="in kills, at the most while a step runs (%(default)s)"
    )
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


async def _lists(fresh: Databases, learners: int, wants: set[str]) -> None:
    async with opened(fresh.new_url()) as database:
        print(
            f"\n{await server_version(database)}, {learners:,} learners and {plans.SMALL:,} of another organization"
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
