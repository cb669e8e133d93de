"""The programs of benches/executors.rs on asyncio, with and without uvloop; prints one table with the figures of ours,
which are read from the output of that bench."""
import asyncio
import platform
import re
import sys
import time

import uvloop


async def spawn_join(n):
    async def task():
        pass

    for _ in range(n):
        await asyncio.create_task(task())


async def ten_yields(n):
    async def task():
        for _ in range(10):
            await asyncio.sleep(0)

    for _ in range(n // 100):
        for task_ in [asyncio.create_task(task()) for _ in range(100)]:
            await task_


async def gather(n):
    async def task():
        pass

    for _ in range(n // 100):
        await asyncio.gather(*[task() for _ in range(100)])


async def ping_pong(n):
    there, back = asyncio.Event(), asyncio.Event()

    async def pong():
        for _ in range(n):
            await there.wait()
            there.clear()
            back.set()

    task = asyncio.create_task(pong())
    for _ in range(n):
        there.set()
        await back.wait()
        back.clear()
    await task


def queue(room):
    async def program(n):
        items = asyncio.Queue(room)

        async def producer():
            for i in range(n):
                await items.put(i)

        task = asyncio.create_task(producer())
        for i in range(n):
            assert await items.get() == i
        await task

    return program


ROWS = {
    "spawn_join": (spawn_join, "a task is spawned and awaited"),
    "ten_yields": (ten_yields, "a task of 100 that yields ten times"),
    "gather": (gather, "a child of a gather of 100"),
    "ping_pong": (ping_pong, "a round trip over two events"),
    "queue_1": (queue(1), "an item through a queue for 1"),
    "queue_64": (queue(64), "an item through a queue for 64"),
}
OPERATIONS, ROUNDS = 10_000, 7


def nanoseconds(new_loop, program):
    """The processor time of an operation: the best of the rounds, which take turns with nobody."""
    with asyncio.Runner(loop_factory=new_loop) as runner:

        async def timed():
            start = time.process_time_ns()
            await program(OPERATIONS)
            return (time.process_time_ns() - start) / OPERATIONS

        return min(runner.run(timed()) for _ in range(ROUNDS))


def main():
    ours = {}
    for line in open(sys.argv[1], encoding="utf-8"):
        if found := re.match(r"\s*executors/(\w+)\s+([\d.]+)\s", line):
            ours[found[1]] = float(found[2])
    print(f"ns an operation; Python {platform.python_version()}, uvloop {uvloop.__version__}\n")
    print("| operation | testudo on Sim | asyncio | times | uvloop | times |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, (program, what) in ROWS.items():
        plain = nanoseconds(asyncio.new_event_loop, program)
        fast = nanoseconds(uvloop.new_event_loop, program)
        own = ours[name]
        print(f"| {what} | {own:.0f} | {plain:.0f} | {plain / own:.0f} | {fast:.0f} | {fast / own:.0f} |")


main()
