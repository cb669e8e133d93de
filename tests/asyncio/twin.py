"""twin.py - the objects of oracle.py as testudo has them, where that differs from asyncio by design.

Each difference has a name; `Run(..., model)` takes a set of names, or one of the two readings (see README.md):

    drops      a cancelled wait of a condition takes no lock, and passes a notification on only if it had received one
    everybody  a notification of everybody is not passed on: all who waited then had it
    skips      notify(n) is not spent on waiters whose predicate is false
    offers     what is free is offered to the first in line, not reserved for it: whoever asks may take it before that one runs
    at_once    what a cancelled task held is free when `cancel` returns, not when the task next runs
    withdraws  a cancelled arrival at a barrier is withdrawn: indices are places in line when the barrier opens
    siblings   a gather that fails owns its children: those that are left are cancelled (oracle.py does it)

Like oracle.py: CPython >= 3.11, standard library only.
"""
import asyncio
import collections

NAMES = ("drops", "everybody", "skips", "offers", "at_once", "withdraws", "siblings")
READINGS = {"native": frozenset(NAMES), "literal": frozenset(NAMES) - {"skips", "siblings"}}
LIMIT = 4                     # who was overtaken this often is served next


class Place:
    """A place in line."""

    def __init__(self):
        self.fut = asyncio.get_running_loop().create_future()
        self.offered = False
        self.handed = False
        self.overtaken = 0

    def wake(self):
        if not self.fut.done():
            self.fut.set_result(None)

    def again(self):
        self.fut = asyncio.get_running_loop().create_future()


class Lock:
    """polite: who asks while it is free lets those in line go first, as in asyncio."""

    def __init__(self, polite):
        self.polite = polite
        self.owned = False
        self.line = collections.deque()

    def locked(self):
        return self.owned

    async def acquire(self):
        if not self.owned and not (self.polite and self.line):
            self.owned = True
            return True
        place = Place()
        self.line.append(place)
        try:
            await self.turn(place)
        except BaseException:          # a cancellation, or the end of a poll of `try`
            self.leave(place)
            raise
        return True

    async def turn(self, place):
        """Waits, in line, until the lock is that place's."""
        while True:
            await place.fut
            if place.handed or not self.owned:
                break
            place.again()
        self.owned = True
        self.line.remove(place)

    def leave(self, place):
        self.line.remove(place)
        if place.handed:
            self.owned = False
        if place.fut.done() and not self.owned:
            self.offer()

    def release(self):
        if not self.owned:
            raise RuntimeError("the lock is free")
        if self.line and self.line[0].offered:
            head = self.line[0]
            head.overtaken += 1
            if head.overtaken >= LIMIT:
                head.handed = True
                return head.wake()
        self.owned = False
        self.offer()

    def offer(self):
        if self.line:
            self.line[0].offered = True
            self.line[0].wake()


class Condition:
    """A notified waiter moves into the lock's line."""

    def __init__(self, polite, skips, everybody):
        self.lock = Lock(polite)
        self.skips = skips
        self.everybody = everybody
        self.side = []
        self.asked = 0               # notifications that came back, for the owner of the lock to pass on

    def locked(self):
        return self.lock.locked()

    async def acquire(self):
        return await self.lock.acquire()

    def release(self):
        self.carry_out()
        self.lock.release()

    def notify(self, n=1):
        if not self.lock.owned:
            raise RuntimeError("the lock is free")
        self.move(n, "one")

    def notify_all(self):
        if not self.lock.owned:
            raise RuntimeError("the lock is free")
        self.move(len(self.side), "one" if not self.everybody else "all")

    def move(self, n, token):
        for place in list(self.side):
            if n > 0 and not place.fut.cancelled() and (place.predicate is None or place.predicate()):
                n -= 1
                self.side.remove(place)
                place.token = token
                self.lock.line.append(place)

    def pass_on(self, token):
        if token != "one":
            return
        self.asked += 1
        if not self.lock.owned:
            self.lock.owned = True
            self.release()

    def carry_out(self):
        n, self.asked = self.asked, 0
        if n:
            self.move(n, "one")

    async def wait(self, predicate=None):
        place = Place()
        place.predicate = predicate
        while True:
            place.token = None
            self.carry_out()             # not for this one
            self.side.append(place)
            self.lock.release()
            try:
                await self.lock.turn(place)
            except BaseException:          # a cancellation, or the end of a poll of `try`
                if place in self.side:
                    self.side.remove(place)
                else:
                    self.lock.leave(place)
                    self.pass_on(place.token)
                raise
            if predicate is None or predicate():
                return True
            self.asked += place.token == "one"
            place.again()
            place.offered = place.handed = False
            place.overtaken = 0

    async def wait_for(self, predicate):
        while not predicate():
            await self.wait(predicate if self.skips else None)


class Semaphore:
    """Free permits are offered to as many in front as there are; bound: a release beyond it is an error."""

    def __init__(self, value, bound, polite):
        self.value = value
        self.bound = bound
        self.polite = polite
        self.line = []
        self.barged = 0

    def locked(self):
        return self.value == 0

    async def acquire(self):
        if self.value and not self.line:
            self.value -= 1
            return True
        if self.value and not self.polite and self.barged < LIMIT:
            self.value -= 1
            self.barged += 1
            return True
        place = Place()
        self.line.append(place)
        try:
            while True:
                await place.fut
                first = place is self.line[0]
                if self.value and (first or self.barged < LIMIT):
                    break
                place.again()
        except BaseException:          # a cancellation, or the end of a poll of `try`
            self.leave(place)
            self.offer()
            raise
        self.value -= 1
        self.barged += not first
        self.leave(place)
        return True

    def leave(self, place):
        if place is self.line[0]:
            self.barged = 0
        self.line.remove(place)

    def release(self):
        if self.bound is not None and self.value >= self.bound:
            raise ValueError("too many")
        self.value += 1
        self.offer()

    def offer(self):
        for place in self.line[:self.value]:
            place.wake()


class Barrier:
    def __init__(self, parties):
        self.parties = parties
        self.line = []
        self.broken = False

    @property
    def n_waiting(self):
        return len(self.line)

    async def wait(self):
        if self.broken:
            raise asyncio.BrokenBarrierError
        fut = asyncio.get_running_loop().create_future()
        self.line.append(fut)
        if len(self.line) == self.parties:
            for index, one in enumerate(self.line):
                one.set_result(index)
            self.line = []
            return self.parties - 1
        try:
            index = await fut
        except BaseException:          # a cancellation, or the end of a poll of `try`
            if fut in self.line:
                self.line.remove(fut)
            raise
        if index is None:
            raise asyncio.BrokenBarrierError
        return index

    async def reset(self):
        self.break_up(False)

    async def abort(self):
        self.break_up(True)

    def break_up(self, for_good):
        self.broken = for_good
        line, self.line = self.line, []
        for fut in line:
            fut.set_result(None)
