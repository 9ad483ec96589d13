"""A workbench in a running loop, as a cell makes it, without a page."""

import asyncio

from widgets.workbench.workbench import Workbench


def in_a_kernel(work, start=None):
    """Run a coroutine function given a workbench made inside a running loop."""

    async def main():
        bench = Workbench(start)
        try:
            return await work(bench)
        finally:
            bench.background.stop()

    return asyncio.run(main())


async def settled(bench):
    """Wait until no task of a workbench is left."""
    while tasks := list(bench.background.tasks.values()):
        await asyncio.gather(*tasks, return_exceptions=True)
