#!/usr/bin/env python3
"""oracle.py - deterministic scenario interpreter for CPython's asyncio.

Reads scenarios (format: FORMAT.md), runs each one on an asyncio event loop with
VIRTUAL TIME (the clock is an integer and jumps to the next timer; nothing ever
really waits) and prints one JSON trace per scenario.

    oracle.py run      [FILE] [--model cpython|drop|morph|native|literal] [--shuffle SEED] [--pretty]
    oracle.py classify [FILE]            one {"name","tier","why"} per scenario
    oracle.py record   [FILE]            one line per scenario: tier, CPython's trace, testudo's where it differs by
                                         design, with the names of the differences (twin.py)
    oracle.py check    SCENARIOS TRACES [--model M]   compare traces, exit 1 on a difference
    oracle.py cover    [FILE]            table: how often each (op, outcome) occurred
    oracle.py selftest                   hand-derived expectations

FILE is JSON Lines (one scenario a line), a JSON array, or one JSON object; "-" or
nothing is stdin.  Needs CPython >= 3.11; the reference is 3.13 (Queue.shutdown and
two bug fixes, see FORMAT.md "Versions").  Standard library only.
"""
import argparse
import asyncio
import collections
import gc
import itertools
import json
import random
import sys

import twin

CancelledError = asyncio.CancelledError
QueueShutDown = getattr(asyncio, "QueueShutDown", None)
MAX_ROUNDS = 200_000          # loop iterations before a scenario counts as a runaway
BUILTIN_GROUP = BaseExceptionGroup

REVERSE = -1                  # --shuffle -1: the callbacks of one round in reverse order
PICK = 1000                   # --shuffle 1000 and above: no rounds, always one of all that are ready

# outcomes -------------------------------------------------------------------
OK = ("ok",)
TIMEOUT = ("timeout",)
WOULD_BLOCK = ("would_block",)


def value(v):
    return ("value", v)


def error(name, *more):
    return ("error", name, *more)


class BodyError(Exception):
    """The error E raised by the scenario op ["raise", E]."""

    def __init__(self, name):
        super().__init__(name)
        self.name = name


class ScenarioError(Exception):
    """The scenario itself is malformed."""


class LateTask(asyncio.Task):
    """A task that, cancelled because another one was that waits for it, learns of it later: as in testudo, where the
    other one has to run first."""

    cascades = False

    def cancel(self, msg=None):
        if LateTask.cascades:
            self.get_loop().call_soon(self.cancel, msg)
            return not self.done()
        LateTask.cascades = True
        try:
            return super().cancel(msg)
        finally:
            LateTask.cascades = False


# the virtual-time loop --------------------------------------------------------
class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose clock is an integer that jumps from timer to timer."""

    def __init__(self, shuffle=None):
        super().__init__()
        self._now = 0
        self._clock_resolution = 1e-9
        self._selector = self            # _run_once() asks self._selector.select()
        self._reverse = shuffle == REVERSE
        self._picks = shuffle is not None and shuffle >= PICK
        if self._picks:
            self.set_task_factory(lambda loop, coro, **more: LateTask(coro, loop=loop, **more))
        self._rng = None if shuffle is None else random.Random(f"shuffle-{shuffle}")
        self._rounds = 0
        self.idle = False
        self.runaway = False

    def time(self):
        return self._now

    def select(self, delay):
        self._rounds += 1
        if self._rounds > MAX_ROUNDS:
            self.runaway = True
            self.stop()
        elif delay is None:              # nothing ready and no timer left: finished
            self.idle = True
            self.stop()
        elif delay > 0:
            self._now = self._scheduled[0]._when
        return ()

    def _run_once(self):
        # A callback order other than FIFO stands for an executor that polls the tasks
        # woken at one virtual tick in another order (see FORMAT.md, tiers).
        rest = []
        if self._rng is not None and len(self._ready) > 1:
            ready = list(self._ready)
            if self._picks:          # as threads may: one runs far ahead while another does nothing
                rest = ready
                ready = [rest.pop(self._rng.randrange(len(rest)))]
            elif self._reverse:
                ready.reverse()
            else:
                self._rng.shuffle(ready)
            self._ready.clear()
            self._ready.extend(ready)
        super()._run_once()
        self._ready.extendleft(reversed(rest))

    def _process_events(self, event_list):
        pass

    def _write_to_self(self):
        pass


# the drop model of Condition --------------------------------------------------
class DropCondition(asyncio.Condition):
    """Condition.wait() under "cancellation = the future is dropped".

    Differs from CPython's in three points only: a cancelled wait does not re-acquire
    the lock; it passes a notification on if, and only if, it had received one; and it
    does so at once.  Everything else is CPython's.
    """

    def _forward(self):
        for fut in self._waiters:
            if not fut.done():
                fut.set_result(False)
                return

    async def wait(self):
        if not self.locked():
            raise RuntimeError("cannot wait on un-acquired lock")
        fut = asyncio.get_running_loop().create_future()
        self.release()
        self._waiters.append(fut)
        try:
            await fut
        except CancelledError:
            if fut.done() and not fut.cancelled():
                self._forward()
            raise
        finally:
            self._waiters.remove(fut)
        try:
            await self.acquire()
        except CancelledError:
            self._forward()
            raise
        return True


class MorphCondition(DropCondition):
    """The drop model with wait morphing: a notified waiter moves straight into the lock's
    queue instead of waking up first and queueing for the lock then.  A permitted design;
    the order in which notified waiters queue for the lock does not depend on the executor.
    """

    def _move(self, fut):
        self._waiters.remove(fut)
        lock = self._lock
        if lock._waiters is None:
            lock._waiters = collections.deque()
        lock._waiters.append(fut)
        if not lock._locked:
            lock._wake_up_first()

    def notify(self, n=1):
        if not self.locked():
            raise RuntimeError("cannot notify on un-acquired lock")
        for fut in [f for f in self._waiters if not f.done()][:n]:
            self._move(fut)

    def _forward(self):
        for fut in self._waiters:
            if not fut.done():
                return self._move(fut)

    async def wait(self):
        if not self.locked():
            raise RuntimeError("cannot wait on un-acquired lock")
        fut = asyncio.get_running_loop().create_future()
        self.release()
        self._waiters.append(fut)
        try:
            await fut
        except CancelledError:
            if fut in self._waiters:
                self._waiters.remove(fut)
            else:                            # notified: in the lock's queue by now
                self._lock._waiters.remove(fut)
                self._forward()
                if not self._lock._locked:
                    self._lock._wake_up_first()
            raise
        self._lock._waiters.remove(fut)
        self._lock._locked = True
        return True


# scenario objects ---------------------------------------------------------------
class Cond:
    def __init__(self, cls):
        self.cond = cls()
        self.items = []


class Body:
    def __init__(self, index, spec):
        self.id = spec["id"]
        self.index = index
        self.ops = spec["ops"]
        self.i = 0                 # index of the op being executed
        self.begun = False
        self.finished = False
        self.task = None
        self.group = None          # the TaskGroup new tg_spawn children join
        self.held = []             # [(kind, object name)] in the order of acquisition
        self.trace = []

    def hold(self, kind, name):
        self.held.append((kind, name))

    def holds(self, kind, name):
        return (kind, name) in self.held

    def unhold(self, kind, name):
        for n in range(len(self.held) - 1, -1, -1):
            if self.held[n] == (kind, name):
                del self.held[n]
                return True
        return False


GRANT_OPS = {
    "lock_acquire", "cond_acquire", "cond_wait", "cond_wait_for", "sem_acquire",
    "q_put", "q_get", "event_wait", "barrier_wait",
}
# ops that never suspend; the only ones allowed inside "atomic"
SYNC_OPS = {
    "event_set", "event_clear", "lock_release", "cond_release", "cond_notify",
    "cond_notify_all", "cond_push", "cond_take", "sem_release", "q_put_nowait",
    "q_get_nowait", "q_task_done", "q_shutdown", "probe", "spawn", "cancel", "try",
}
TRY_OPS = {
    "lock_acquire", "cond_acquire", "sem_acquire", "event_wait", "q_get", "q_put",
    "q_join", "join",
}


class Run:
    """One execution of one scenario."""

    def __init__(self, scenario, model="cpython", shuffle=None, polite=None):
        self.scenario = scenario
        self.polite = model == "literal" if polite is None else polite
        self.model = model = twin.READINGS.get(model, model)
        self.drops = model in ("drop", "morph") or "drops" in model
        self.loop = VirtualLoop(shuffle)
        self.loop.set_exception_handler(lambda loop, context: None)
        self.bodies = {}
        for index, spec in enumerate(scenario["bodies"]):
            if spec["id"] in self.bodies:
                raise ScenarioError(f"duplicate body id {spec['id']}")
            self.bodies[spec["id"]] = Body(index, spec)
        self.period = 2 * (len(self.bodies) + 1)
        self.objects = {}
        self.kinds = {}
        by_design = model if isinstance(model, frozenset) else frozenset()
        cond = {"drop": DropCondition, "morph": MorphCondition}.get(model, asyncio.Condition)
        if by_design & {"drops", "everybody", "skips"}:
            self.drops = True

            def cond():
                return twin.Condition(self.polite, "skips" in by_design, "everybody" in by_design)
        for name, spec in scenario["objects"].items():
            self.kinds[name] = kind = spec["type"]
            if kind == "event":
                made = asyncio.Event()
            elif kind == "lock":
                made = twin.Lock(self.polite) if "offers" in by_design else asyncio.Lock()
            elif kind == "cond":
                made = Cond(cond)
            elif kind == "sem":
                cls = asyncio.BoundedSemaphore if spec.get("bounded") else asyncio.Semaphore
                made = cls(spec["value"])
                if "offers" in by_design:
                    made = twin.Semaphore(spec["value"], spec["value"] if spec.get("bounded") else None, self.polite)
            elif kind == "queue":
                cls = {"fifo": asyncio.Queue, "lifo": asyncio.LifoQueue,
                       "priority": asyncio.PriorityQueue}[spec["kind"]]
                made = cls(spec["maxsize"])
            elif kind == "barrier":
                made = (twin if "withdraws" in by_design else asyncio).Barrier(spec["parties"])
            else:
                raise ScenarioError(f"unknown object type {kind}")
            self.objects[name] = made
        self.served = {name: [] for name in self.objects}
        self.closed = False

    # time ------------------------------------------------------------------
    def _aligned(self, residue, k):
        """The k-th tick after now that is congruent to residue modulo the period."""
        now = self.loop.time()
        ahead = (residue - now) % self.period or self.period
        return now + ahead + (k - 1) * self.period

    def op_slot(self, body, k):
        return self._aligned(2 * (body.index + 1), k)

    def timer_slot(self, body, k):
        return self._aligned(2 * (body.index + 1) + 1, k)

    async def sleep_until(self, when):
        await asyncio.sleep(when - self.loop.time())

    # bodies -----------------------------------------------------------------
    def record(self, body, outcome):
        if not self.closed:
            body.trace.append([self.loop.time(), body.i, *outcome])

    def release_all(self, body):
        while body.held:
            kind, name = body.held.pop()
            obj = self.objects[name]
            try:
                if kind == "cond":
                    obj.cond.release()
                else:
                    obj.release()
            except (RuntimeError, ValueError):
                pass

    async def run_body(self, body):
        body.begun = True
        try:
            for i, op in enumerate(body.ops):
                body.i = i
                await self.sleep_until(self.op_slot(body, op[0]))
                outcome = await self.do(body, op[1:])
                self.record(body, outcome)
                if op[1] == "raise":
                    raise BodyError(op[2])
            return body.id
        except CancelledError:
            self.record(body, ("cancelled",))
            raise
        finally:
            body.finished = True
            if not self.closed:
                self.release_all(body)

    def start(self, bid, group=None):
        """Start a body as a task (once) and return the task."""
        body = self.bodies[bid]
        if body.task is None:
            if body.begun:
                raise ScenarioError(f"body {bid} is a host, it has no task")
            coro = self.run_body(body)
            if group is None:
                body.task = self.loop.create_task(coro)
            else:
                body.group = group
                body.task = group.create_task(coro)

            def done(task):
                if task.cancelled() and not body.begun:   # cancelled before its first step
                    body.begun = body.finished = True
                    self.record(body, ("cancelled",))
            body.task.add_done_callback(done)
        return body.task

    @staticmethod
    def being_cancelled():
        return asyncio.current_task().cancelling() > 0

    def result_of(self, bid, task):
        if task.cancelled():
            return [bid, "cancelled"]
        exc = task.exception()
        if exc is not None:
            return [bid, "error", exc.name]
        return [bid, "ok"]

    # ops ----------------------------------------------------------------------
    async def do(self, body, op):
        name, args = op[0], op[1:]
        try:
            outcome = await getattr(self, "op_" + name)(body, *args)
        except asyncio.QueueFull:
            return WOULD_BLOCK
        except asyncio.QueueEmpty:
            return WOULD_BLOCK
        except asyncio.BrokenBarrierError:
            return error("BrokenBarrier")
        except Exception as exc:
            if QueueShutDown is not None and isinstance(exc, QueueShutDown):
                return error("ShutDown")
            raise
        if name in GRANT_OPS and outcome[0] in ("ok", "value") and not self.closed:
            self.served[args[0]].append([self.loop.time(), body.id, body.i])
        return outcome

    async def op_sleep(self, body, k):
        await self.sleep_until(self.op_slot(body, k))
        return OK

    async def op_end(self, body):
        return OK

    async def op_raise(self, body, name):
        return error(name)

    # event
    async def op_event_set(self, body, o):
        self.objects[o].set()
        return OK

    async def op_event_clear(self, body, o):
        self.objects[o].clear()
        return OK

    async def op_event_wait(self, body, o):
        await self.objects[o].wait()
        return OK

    # lock
    async def op_lock_acquire(self, body, o):
        await self.objects[o].acquire()
        body.hold("lock", o)
        return OK

    async def op_lock_release(self, body, o):
        if not body.unhold("lock", o):
            return error("NotHeld")
        self.objects[o].release()
        return OK

    # condition
    async def op_cond_acquire(self, body, o):
        await self.objects[o].cond.acquire()
        body.hold("cond", o)
        return OK

    async def op_cond_release(self, body, o):
        if not body.unhold("cond", o):
            return error("NotHeld")
        self.objects[o].cond.release()
        return OK

    async def _cond_wait(self, body, o, waiting):
        if not body.unhold("cond", o):
            return error("NotHeld")
        try:
            outcome = await waiting()
        except CancelledError:
            if not self.drops:               # CPython re-acquired before raising
                body.hold("cond", o)
            raise
        body.hold("cond", o)
        return outcome

    async def op_cond_wait(self, body, o):
        async def waiting():
            await self.objects[o].cond.wait()
            return OK
        return await self._cond_wait(body, o, waiting)

    async def op_cond_wait_for(self, body, o, k):
        state = self.objects[o]

        async def waiting():
            await state.cond.wait_for(lambda: len(state.items) >= k)
            return value(len(state.items))
        return await self._cond_wait(body, o, waiting)

    async def op_cond_notify(self, body, o, n):
        if not body.holds("cond", o):
            return error("NotHeld")
        self.objects[o].cond.notify(n)
        return OK

    async def op_cond_notify_all(self, body, o):
        if not body.holds("cond", o):
            return error("NotHeld")
        self.objects[o].cond.notify_all()
        return OK

    async def op_cond_push(self, body, o, v):
        if not body.holds("cond", o):
            return error("NotHeld")
        self.objects[o].items.append(v)
        return OK

    async def op_cond_take(self, body, o, k):
        if not body.holds("cond", o):
            return error("NotHeld")
        items = self.objects[o].items
        taken, items[:k] = items[:k], []
        return value(taken)

    # semaphore
    async def op_sem_acquire(self, body, o):
        await self.objects[o].acquire()
        body.hold("sem", o)
        return OK

    async def op_sem_release(self, body, o):
        try:
            self.objects[o].release()
        except ValueError:
            return error("OverRelease")
        body.unhold("sem", o)
        return OK

    # queue
    async def op_q_put(self, body, o, v):
        await self.objects[o].put(v)
        return OK

    async def op_q_get(self, body, o):
        return value(await self.objects[o].get())

    async def op_q_put_nowait(self, body, o, v):
        self.objects[o].put_nowait(v)
        return OK

    async def op_q_get_nowait(self, body, o):
        return value(self.objects[o].get_nowait())

    async def op_q_task_done(self, body, o):
        try:
            self.objects[o].task_done()
        except ValueError:
            return error("TooManyDone")
        return OK

    async def op_q_join(self, body, o):
        await self.objects[o].join()
        return OK

    async def op_q_shutdown(self, body, o, immediate):
        if QueueShutDown is None:
            return error("Unsupported")
        self.objects[o].shutdown(immediate)
        return OK

    # barrier
    async def op_barrier_wait(self, body, o):
        return value(await self.objects[o].wait())

    async def op_barrier_reset(self, body, o):
        await self.objects[o].reset()
        return OK

    async def op_barrier_abort(self, body, o):
        await self.objects[o].abort()
        return OK

    # observation
    async def op_probe(self, body, o):
        obj, kind = self.objects[o], self.kinds[o]
        if kind == "event":
            return value(obj.is_set())
        if kind in ("lock", "sem"):
            return value(obj.locked())
        if kind == "cond":
            return value([obj.cond.locked(), len(obj.items)])
        if kind == "queue":
            return value([obj.qsize(), obj.empty(), obj.full()])
        return value([obj.n_waiting, obj.broken])

    # combinators
    async def op_timeout(self, body, k, inner):
        deadline = self.timer_slot(body, k) if k else self.loop.time()
        try:
            async with asyncio.timeout_at(deadline):
                return await self.do(body, inner)
        except TimeoutError:
            pass
        if self.drops and inner[0] in ("cond_wait", "cond_wait_for"):
            await self.objects[inner[1]].cond.acquire()
            body.hold("cond", inner[1])
        return TIMEOUT

    async def op_try(self, body, inner):
        """Poll the inner op once; drop it if it is not ready."""
        if inner[0] not in TRY_OPS:
            raise ScenarioError(f"{inner[0]} inside try")
        coro = self.do(body, inner)
        try:
            coro.send(None)
        except StopIteration as stop:
            return stop.value
        coro.close()
        return WOULD_BLOCK

    async def op_atomic(self, body, inner):
        outcomes = []
        for op in inner:
            if op[0] not in SYNC_OPS:
                raise ScenarioError(f"{op[0]} inside atomic")
            outcomes.append(list(await self.do(body, op)))
        return value(outcomes)

    # tasks
    async def op_spawn(self, body, bid):
        self.start(bid)
        return OK

    async def op_cancel(self, body, bid):
        task = self.bodies[bid].task
        cancelled = bool(task is not None and task.cancel())
        if cancelled and "at_once" in self.model:
            self.release_all(self.bodies[bid])
        return value(cancelled)

    async def op_join(self, body, bid, owned):
        task = self.start(bid)
        if owned:                        # awaiting the task itself: cancellation reaches it
            try:
                await task
            except BodyError:
                pass
            except CancelledError:
                if self.being_cancelled():
                    raise
        elif not task.done():
            await asyncio.wait([task])
        if task.cancelled():
            return error("Cancelled")
        if task.exception() is not None:
            return error(task.exception().name)
        return value(bid)

    async def op_gather(self, body, ids, return_exceptions, on_error):
        tasks = [self.start(bid) for bid in ids]
        try:
            await asyncio.gather(*tasks, return_exceptions=return_exceptions)
        except BodyError as exc:
            outcome = error(exc.name)
        except CancelledError:
            if self.being_cancelled():
                raise
            outcome = error("Cancelled")     # a child was cancelled, not we
        else:
            return value([self.result_of(bid, t) for bid, t in zip(ids, tasks)])
        if on_error == "cancel" or "siblings" in self.model:
            for task in tasks:
                task.cancel()
        return outcome

    async def op_shield(self, body, bid):
        task = self.start(bid)
        try:
            await asyncio.shield(task)
        except BodyError as exc:
            return error(exc.name)
        except CancelledError:
            if self.being_cancelled():
                raise
            return error("Cancelled")
        return value(bid)

    async def op_taskgroup(self, body, ids, host):
        tasks = []
        try:
            async with asyncio.TaskGroup() as group:
                for bid in ids:
                    tasks.append(self.start(bid, group))
                if host is not None:
                    inline = self.bodies[host]
                    inline.group = group
                    await self.run_body(inline)
        except BUILTIN_GROUP as eg:
            return error("Group", sorted(e.name for e in eg.exceptions))
        return value([self.result_of(bid, t) for bid, t in zip(ids, tasks)])

    async def op_tg_spawn(self, body, bid):
        if body.group is None:
            return error("NoGroup")
        try:
            self.start(bid, body.group)
        except RuntimeError:
            return error("GroupClosed")
        return OK

    async def op_as_completed(self, body, ids, take, rest):
        tasks = {bid: self.start(bid) for bid in ids}
        left = dict(tasks)
        out = []
        iterator = iter(asyncio.as_completed(list(tasks.values())))
        for _ in range(min(take, len(ids))):
            try:
                await next(iterator)
            except BodyError:
                pass
            except CancelledError:
                if self.being_cancelled():
                    raise
            bid = min(b for b, t in left.items() if t.done())
            out.append([self.loop.time(), *self.result_of(bid, left.pop(bid))])
        if rest == "cancel":
            for task in left.values():
                task.cancel()
        return value(out)

    async def op_wait(self, body, ids, mode, k):
        tasks = {bid: self.start(bid) for bid in ids}
        timeout = None if k is None else self.timer_slot(body, k) - self.loop.time()
        mode = {"first": asyncio.FIRST_COMPLETED, "exception": asyncio.FIRST_EXCEPTION,
                "all": asyncio.ALL_COMPLETED}[mode]
        done, _ = await asyncio.wait(list(tasks.values()), timeout=timeout, return_when=mode)
        return value(sorted(bid for bid, t in tasks.items() if t in done))

    # running ------------------------------------------------------------------
    def execute(self):
        loop = self.loop
        asyncio.set_event_loop(loop)
        try:
            for spec in self.scenario["bodies"]:
                if spec.get("start"):
                    self.start(spec["id"])
            failure = None
            loop.run_forever()
            for body in self.bodies.values():
                if body.task is not None and body.task.done() and not body.task.cancelled():
                    exc = body.task.exception()
                    if exc is not None and not isinstance(exc, BodyError):
                        failure = exc
            trace = self.result()
        finally:
            self.closed = True
            self.cleanup()
            asyncio.set_event_loop(None)
        if failure is not None:
            raise ScenarioError(f"{self.scenario.get('name')}: {failure!r}") from failure
        if loop.runaway:
            raise ScenarioError(f"{self.scenario.get('name')}: runaway")
        return trace

    def result(self):
        bodies = {}
        for body in self.bodies.values():
            records = list(body.trace)
            if body.begun and not body.finished:
                records.append([None, body.i, "pending"])
            bodies[str(body.id)] = records
        served = {}
        for name, log in self.served.items():
            if log:
                # order inside one tick is the executor's business: canonical
                served[name] = [[b, i] for _, b, i in sorted(log)]
        return {"name": self.scenario.get("name"), "bodies": bodies, "served": served,
                "end": self.loop.time()}

    def cleanup(self):
        loop = self.loop
        for _ in range(20):
            alive = [b.task for b in self.bodies.values()
                     if b.task is not None and not b.task.done()]
            if not alive:
                break
            for task in alive:
                task.cancel()
            loop._rounds = 0
            loop.run_forever()
        for body in self.bodies.values():
            if body.task is not None:
                body.task._log_destroy_pending = False
        loop.close()


_runs = itertools.count(1)


def run(scenario, model="cpython", shuffle=None, polite=None):
    """The trace of one scenario (a dict)."""
    trace = Run(scenario, model, shuffle, polite).execute()
    if next(_runs) % 200 == 0:
        gc.collect()
    return trace


MODELS = ("cpython", "drop", "morph")
SHUFFLES = range(1, 9)
PICKS = range(PICK, PICK + 12)


def barrier_reused_after_cancel(trace, scenario):
    """CPython hands out an index twice after a cancelled barrier wait (BARR-13)."""
    seen = {}
    for body in scenario["bodies"]:
        for record in trace["bodies"][str(body["id"])]:
            op = body["ops"][record[1]][1:]
            while op[0] == "timeout":
                op = op[2]
            if op[0] == "barrier_wait" and record[2] == "value":
                seen.setdefault((op[1], record[0]), []).append(record[3])
    return any(sorted(v) != list(range(len(v))) for v in seen.values())


def inner_most(op):
    while op[0] in ("timeout", "try"):
        op = op[-1]
    return op


def has_children(body):
    """Whether cancelling the body cancels others with it."""
    for op in body["ops"]:
        op = inner_most(op[1:])
        if op[0] in ("gather", "taskgroup") or op[0] == "join" and op[2]:
            return True
    return False


def observes_cancel_timing(scenario):
    """An atomic that can tell an immediate drop from a deferred one: by an op after the cancel
    (the cancelled body may or may not have let go of what it had been granted or held), or by a
    grant to a child of the cancelled body (which may or may not be gone with it)."""
    bounded = {n for n, s in scenario["objects"].items() if s.get("bounded")}
    parents = {b["id"] for b in scenario["bodies"] if has_children(b)}
    for body in scenario["bodies"]:
        for op in body["ops"]:
            if op[1] == "atomic":
                cancelled = False
                for inner in op[2]:
                    if cancelled and (inner[0] in ("try", "probe", "cancel") or
                                      inner[0] == "sem_release" and inner[1] in bounded):
                        return True
                    if inner[0] == "cancel":
                        cancelled = True
                        if inner[1] in parents and any(o[0] not in ("cancel", "spawn") for o in op[2]):
                            return True
    return False


def classify(scenario, orders=True):
    """(tier, why, trace).  A: any executor.  B: an executor that polls woken tasks in
    wake order.  C: an artefact of CPython, not a requirement.  Without `orders` an A counts as B."""
    trace = run(scenario)
    why = []
    drop = run(scenario, "drop")
    if drop != trace:
        why.append("cond-cancel")
    elif run(scenario, "morph") != drop:
        why.append("relock-order")
    if barrier_reused_after_cancel(trace, scenario):
        why.append("barrier-index")
    if observes_cancel_timing(scenario):
        why.append("cancel-timing")
    if why:
        return "C", why, trace
    if not orders:
        return "B", ["wake-order"], trace
    orders = [(model, REVERSE) for model in MODELS] + [("cpython", seed) for seed in SHUFFLES]
    orders += [("drop", 1), ("morph", 2)]
    if any(run(scenario, model, order) != trace for model, order in orders):
        return "B", ["wake-order"], trace
    return "A", [], trace


# testudo's design -------------------------------------------------------------
def names_of(scenario, trace, reading, wanted):
    """The fewest names of twin.py that explain a trace which is not CPython's."""
    polite = reading == "literal"
    for size in range(1, len(twin.NAMES) + 1):
        for names in map(frozenset, itertools.combinations(sorted(twin.READINGS[reading]), size)):
            if names & {"skips", "everybody"} and "drops" not in names:
                continue                                    # they come with it
            if run(scenario, names, None, polite) == wanted:
                return sorted(n for n in names if n != "drops" or run(scenario, "drop") != trace)
    raise ScenarioError(f"{scenario.get('name')}: nothing explains it")


def record(scenario, orders=True):
    """What is expected of testudo.  any_order: on any executor, not only on one with a FIFO run queue; nobody asks
    without `orders`, which takes an eighth of the time."""
    tier, why, trace = classify(scenario, orders)
    row = {"tier": tier, "why": why, "cpython": trace, "any_order": tier == "A"}
    for reading in twin.READINGS:
        wanted = run(scenario, reading)
        if wanted != trace:
            row[reading] = {"names": names_of(scenario, trace, reading, wanted), "trace": wanted}
        if not row["any_order"]:
            continue
        row["any_order"] &= all(run(scenario, reading, order) == wanted for order in [REVERSE, *SHUFFLES, *PICKS])
        row["any_order"] &= run(scenario, twin.READINGS[reading] - {"at_once"}, None, reading == "literal") == wanted
    return row


# selftest ---------------------------------------------------------------------
def _scenario(objects, *bodies, idle=()):
    """bodies: op lists of the top-level bodies; idle: op lists of bodies not started."""
    specs = [{"id": n, "start": True, "ops": ops} for n, ops in enumerate(bodies)]
    specs += [{"id": len(specs) + n, "ops": ops} for n, ops in enumerate(idle)]
    return {"name": "selftest", "objects": objects, "bodies": specs}


def selftest():
    """Expectations derived by hand from CPython's tests (names in the comments)."""
    ev, lk, cd = {"type": "event"}, {"type": "lock"}, {"type": "cond"}
    end = [1, "end"]
    failures = []

    def check(label, scenario, expect, model="cpython"):
        trace = run(scenario, model)
        for bid, want in expect.items():
            got = trace["bodies"][str(bid)]
            if got != want:
                failures.append(f"{label} [{model}] body {bid}:\n   want {want}\n   got  {got}")

    def both(label, scenario, expect):
        for model in MODELS:
            check(label, scenario, expect, model)

    # --- time: 1 body, period 4, op slots 2,6,10.., timer slots 3,7,11..
    both("slots", _scenario({"e": ev}, [[1, "probe", "e"], [2, "event_set", "e"],
                                        [1, "probe", "e"], [1, "timeout", 2, ["sleep", 9]], end]),
         {0: [[2, 0, "value", False], [10, 1, "ok"], [14, 2, "value", True],
              [23, 3, "timeout"], [26, 4, "ok"]]})
    # --- Event (test_wait, test_clear_with_waiters: a pulse wakes everybody waiting)
    #     3 bodies, period 8: slots 2,4,6 (+8n)
    both("event pulse",
         _scenario({"e": ev}, [[1, "event_wait", "e"], end], [[1, "event_wait", "e"], end],
                   [[2, "atomic", [["event_set", "e"], ["event_clear", "e"], ["probe", "e"]]], end]),
         {0: [[14, 0, "ok"], [18, 1, "ok"]], 1: [[14, 0, "ok"], [20, 1, "ok"]],
          2: [[14, 0, "value", [["ok"], ["ok"], ["value", False]]], [22, 1, "ok"]]})
    # --- Lock: FIFO; cancel of a waiter; RAII release at the end of a body
    both("lock fifo",
         _scenario({"l": lk}, [[1, "lock_acquire", "l"], [3, "lock_release", "l"], end],
                   [[1, "lock_acquire", "l"], [1, "lock_release", "l"], end],
                   [[1, "lock_acquire", "l"], [1, "lock_release", "l"], end]),
         {0: [[2, 0, "ok"], [26, 1, "ok"], [34, 2, "ok"]],
          1: [[26, 0, "ok"], [28, 1, "ok"], [36, 2, "ok"]],
          2: [[28, 0, "ok"], [30, 1, "ok"], [38, 2, "ok"]]})
    # test_cancel_race / test_finished_waiter_cancelled: release and cancel in one step
    for order in ([["lock_release", "l"], ["cancel", 1]], [["cancel", 1], ["lock_release", "l"]]):
        both("lock hand-off to a cancelled waiter",
             _scenario({"l": lk}, [[1, "lock_acquire", "l"], [2, "atomic", order], end],
                       [[1, "lock_acquire", "l"], end], [[1, "lock_acquire", "l"], end]),
             {1: [[18, 0, "cancelled"]], 2: [[18, 0, "ok"], [22, 1, "ok"]]})
    # no barging: release, then try, with a waiter
    both("lock no barging",
         _scenario({"l": lk}, [[1, "lock_acquire", "l"],
                               [2, "atomic", [["lock_release", "l"], ["try", ["lock_acquire", "l"]]]], end],
                   [[1, "lock_acquire", "l"], end]),
         {0: [[2, 0, "ok"], [14, 1, "value", [["ok"], ["would_block"]]], [20, 2, "ok"]],
          1: [[14, 0, "ok"], [16, 1, "ok"]]})
    # --- Condition: notify does not release; FIFO; notify(1) wakes one
    sc = _scenario({"c": cd},
                   [[1, "cond_acquire", "c"], [1, "cond_wait", "c"], [1, "cond_release", "c"], end],
                   [[1, "cond_acquire", "c"], [1, "cond_wait", "c"], [1, "cond_release", "c"], end],
                   [[3, "cond_acquire", "c"], [1, "cond_notify", "c", 1], [1, "cond_release", "c"], end])
    both("cond notify(1)", sc,
         {0: [[2, 0, "ok"], [38, 1, "ok"], [42, 2, "ok"], [50, 3, "ok"]],
          1: [[10, 0, "ok"], [None, 1, "pending"]],
          2: [[22, 0, "ok"], [30, 1, "ok"], [38, 2, "ok"], [46, 3, "ok"]]})
    # test_cancelled_wakeup: notify(1) then cancel of the notified waiter goes to the next
    if sys.version_info >= (3, 13):
        sc = _scenario({"c": cd},
                       [[1, "cond_acquire", "c"], [1, "cond_wait", "c"], [1, "cond_release", "c"], end],
                       [[1, "cond_acquire", "c"], [1, "cond_wait", "c"], [1, "cond_release", "c"], end],
                       [[3, "cond_acquire", "c"],
                        [1, "atomic", [["cond_notify", "c", 1], ["cancel", 0], ["cond_release", "c"]]], end])
        both("cond notify+cancel", sc,
             {0: [[2, 0, "ok"], [30, 1, "cancelled"]],
              1: [[10, 0, "ok"], [30, 1, "ok"], [36, 2, "ok"], [44, 3, "ok"]]})
        # CPython wakes B spuriously when the un-notified A times out; the drop model does not
        sc = _scenario({"c": cd},
                       [[1, "cond_acquire", "c"], [1, "timeout", 2, ["cond_wait", "c"]], end],
                       [[1, "cond_acquire", "c"], [1, "cond_wait", "c"], end])
        # period 6: A acquires at 2, waits from 8; B gets the lock at 8, waits from 10;
        # A's deadline: timer slots 3+6n -> second after 8 is 15
        check("cond spurious", sc, {0: [[2, 0, "ok"], [15, 1, "timeout"], [20, 2, "ok"]],
                                    1: [[8, 0, "ok"], [20, 1, "ok"], [22, 2, "ok"]]})
        check("cond spurious", sc, {0: [[2, 0, "ok"], [15, 1, "timeout"], [20, 2, "ok"]],
                                    1: [[8, 0, "ok"], [None, 1, "pending"]]}, "drop")
        # a notified waiter cancelled while it queues for the lock passes the notification on
        # period 8: W1 waits from 10, W2 from 12; S acquires at 22, notifies at 30, at 38 cancels
        # W1 and releases: W2 gets the lock at 38
        waits = [[1, "cond_acquire", "c"], [1, "cond_wait", "c"], [1, "cond_release", "c"], end]
        both("cond cancel in the re-lock phase",
             _scenario({"c": cd}, waits, waits,
                       [[3, "cond_acquire", "c"], [1, "cond_notify", "c", 1],
                        [1, "atomic", [["cancel", 0], ["cond_release", "c"]]], end]),
             {0: [[2, 0, "ok"], [38, 1, "cancelled"]],
              1: [[10, 0, "ok"], [38, 1, "ok"], [44, 2, "ok"], [52, 3, "ok"]]})
    # --- Semaphore: FIFO, a newcomer does not overtake (test_acquire_fifo_order)
    both("sem", _scenario({"s": {"type": "sem", "value": 1}},
                          [[1, "sem_acquire", "s"],
                           [2, "atomic", [["sem_release", "s"], ["try", ["sem_acquire", "s"]]]], end],
                          [[1, "sem_acquire", "s"], end]),
         {0: [[2, 0, "ok"], [14, 1, "value", [["ok"], ["would_block"]]], [20, 2, "ok"]],
          1: [[14, 0, "ok"], [16, 1, "ok"]]})
    both("bounded", _scenario({"s": {"type": "sem", "value": 1, "bounded": True}},
                              [[1, "sem_release", "s"], end]),
         {0: [[2, 0, "error", "OverRelease"], [6, 1, "ok"]]})
    # --- Queue: test_get_cancel_drop_one_pending_reader, test_put_cancel_drop
    q = {"type": "queue", "kind": "fifo", "maxsize": 1}
    both("queue put+cancel", _scenario({"q": q},
                                       [[1, "q_get", "q"], end], [[1, "q_get", "q"], end],
                                       [[2, "atomic", [["q_put_nowait", "q", 7], ["cancel", 0]]], end]),
         {0: [[14, 0, "cancelled"]], 1: [[14, 0, "value", 7], [20, 1, "ok"]]})
    both("queue full", _scenario({"q": q},
                                 [[1, "q_put", "q", 1], [1, "q_put", "q", 2], [1, "q_put_nowait", "q", 3], end],
                                 [[3, "q_get", "q"], [1, "q_get_nowait", "q"], [1, "q_get_nowait", "q"], end]),
         {0: [[2, 0, "ok"], [16, 1, "ok"], [20, 2, "would_block"], [26, 3, "ok"]],
          1: [[16, 0, "value", 1], [22, 1, "value", 2], [28, 2, "would_block"], [34, 3, "ok"]]})
    both("queue join", _scenario({"q": q},
                                 [[1, "q_put", "q", 1], [1, "q_join", "q"], end],
                                 [[1, "q_get", "q"], [2, "q_task_done", "q"], [1, "q_task_done", "q"], end]),
         {0: [[2, 0, "ok"], [16, 1, "ok"], [20, 2, "ok"]],
          1: [[4, 0, "value", 1], [16, 1, "ok"], [22, 2, "error", "TooManyDone"], [28, 3, "ok"]]})
    for kind, first in (("lifo", 5), ("priority", 1)):
        both(kind, _scenario({"q": {"type": "queue", "kind": kind, "maxsize": 0}},
                             [[1, "q_put", "q", 3], [1, "q_put", "q", 1], [1, "q_put", "q", 5],
                              [1, "q_get", "q"], end]),
             {0: [[2, 0, "ok"], [6, 1, "ok"], [10, 2, "ok"], [14, 3, "value", first], [18, 4, "ok"]]})
    if QueueShutDown is not None:       # test_shutdown_nonempty
        both("shutdown", _scenario({"q": q},
                                   [[1, "q_put", "q", 1], [1, "q_put", "q", 2], end],
                                   [[3, "q_shutdown", "q", False], [1, "q_get", "q"],
                                    [1, "q_get", "q"], end]),
             {0: [[2, 0, "ok"], [16, 1, "error", "ShutDown"], [20, 2, "ok"]],
              1: [[16, 0, "ok"], [22, 1, "value", 1], [28, 2, "error", "ShutDown"], [34, 3, "ok"]]})
    # --- Barrier: index = order of arrival; a cancelled waiter does not break it
    both("barrier", _scenario({"b": {"type": "barrier", "parties": 2}},
                              [[1, "barrier_wait", "b"], end], [[2, "barrier_wait", "b"], end]),
         {0: [[10, 0, "value", 0], [14, 1, "ok"]], 1: [[10, 0, "value", 1], [16, 1, "ok"]]})
    both("barrier timeout", _scenario({"b": {"type": "barrier", "parties": 2}},
                                      [[1, "timeout", 1, ["barrier_wait", "b"]], [1, "probe", "b"], end]),
         {0: [[3, 0, "timeout"], [6, 1, "value", [0, False]], [10, 2, "ok"]]})
    # --- gather: the others go on after the first error; "cancel" stops them
    for on_error, last in (("leave", [[22, 0, "ok"]]), ("cancel", [[12, 0, "cancelled"]])):
        both("gather " + on_error,
             _scenario({}, [[1, "gather", [1, 2], False, on_error], end],
                       idle=[[[2, "raise", "E1"]], [[3, "end"]]]),
             # period 8: gather at 2; body 1 slots 4,12 -> raises at 12; body 2 ends at 22
             {0: [[12, 0, "error", "E1"], [18, 1, "ok"]], 1: [[12, 0, "error", "E1"]], 2: last})
    both("gather return_exceptions",
         _scenario({}, [[1, "gather", [1, 2], True, "leave"], end],
                   idle=[[[2, "raise", "E1"]], [[3, "end"]]]),
         {0: [[22, 0, "value", [[1, "error", "E1"], [2, "ok"]]], [26, 1, "ok"]]})
    both("gather: one child cancelled",
         _scenario({}, [[1, "gather", [2, 3], False, "leave"], end],
                   [[2, "cancel", 2], end], idle=[[[5, "end"]], [[3, "end"]]]),
         # period 10: cancel at 14
         {0: [[14, 0, "error", "Cancelled"], [22, 1, "ok"]], 2: [[14, 0, "cancelled"]], 3: [[28, 0, "ok"]]})
    both("gather: cancelling the parent cancels the children",
         _scenario({}, [[1, "gather", [2, 3], True, "leave"], end],
                   [[2, "cancel", 0], end], idle=[[[5, "end"]], [[3, "end"]]]),
         {0: [[14, 0, "cancelled"]], 2: [[14, 0, "cancelled"]], 3: [[14, 0, "cancelled"]]})
    both("shield", _scenario({}, [[1, "shield", 2], end], [[2, "cancel", 0], end],
                             idle=[[[3, "end"]]]),
         # period 8
         {0: [[12, 0, "cancelled"]], 2: [[22, 0, "ok"]]})
    both("shield + timeout", _scenario({}, [[1, "timeout", 1, ["shield", 1]], [1, "join", 1, False], end],
                                       idle=[[[3, "end"]]]),
         # period 6: starts at 2, deadline 3; join from 8; child ends at 16
         {0: [[3, 0, "timeout"], [16, 1, "value", 1], [20, 2, "ok"]], 1: [[16, 0, "ok"]]})
    # --- TaskGroup (test_taskgroup_04, _09, _03)
    both("taskgroup error", _scenario({}, [[1, "taskgroup", [1, 2], None], end],
                                      idle=[[[2, "raise", "E1"]], [[3, "end"]]]),
         {0: [[12, 0, "error", "Group", ["E1"]], [18, 1, "ok"]], 2: [[12, 0, "cancelled"]]})
    both("taskgroup host cancelled by a child",
         _scenario({}, [[1, "taskgroup", [1], 2], end],
                   idle=[[[2, "raise", "E1"]], [[1, "sleep", 9], end]]),
         {0: [[12, 0, "error", "Group", ["E1"]], [18, 1, "ok"]], 2: [[12, 0, "cancelled"]]})
    both("taskgroup host raises", _scenario({}, [[1, "taskgroup", [1], 2], end],
                                            idle=[[[3, "end"]], [[1, "raise", "E2"]]]),
         {0: [[6, 0, "error", "Group", ["E2"]], [10, 1, "ok"]], 1: [[6, 0, "cancelled"]]})
    both("taskgroup: one child cancelled is no error",
         _scenario({}, [[1, "taskgroup", [2, 3], None], end], [[2, "cancel", 2], end],
                   idle=[[[5, "end"]], [[3, "end"]]]),
         {0: [[28, 0, "value", [[2, "cancelled"], [3, "ok"]]], [32, 1, "ok"]]})
    both("taskgroup spawn into group", _scenario({}, [[1, "taskgroup", [1], None], end],
                                                 idle=[[[1, "tg_spawn", 2], end], [[3, "end"]]]),
         {0: [[22, 0, "value", [[1, "ok"]]], [26, 1, "ok"]], 2: [[22, 0, "ok"]]})
    # --- as_completed (origin text 15.10.2), wait
    both("as_completed", _scenario({}, [[1, "as_completed", [1, 2, 3], 9, "leave"], end],
                                   idle=[[[3, "end"]], [[1, "end"]], [[2, "raise", "E1"]]]),
         # period 10
         {0: [[24, 0, "value", [[6, 2, "ok"], [18, 3, "error", "E1"], [24, 1, "ok"]]], [32, 1, "ok"]]})
    both("as_completed break", _scenario({}, [[1, "as_completed", [1, 2], 1, "cancel"], end],
                                         idle=[[[3, "end"]], [[1, "end"]]]),
         {0: [[6, 0, "value", [[6, 2, "ok"]]], [10, 1, "ok"]], 1: [[6, 0, "cancelled"]]})
    both("wait first", _scenario({}, [[1, "wait", [1, 2], "first", None], [1, "wait", [1, 2], "all", None], end],
                                 idle=[[[3, "end"]], [[1, "end"]]]),
         {0: [[6, 0, "value", [2]], [20, 1, "value", [1, 2]], [26, 2, "ok"]]})
    both("wait exception: a cancelled child does not count",
         _scenario({}, [[1, "wait", [2, 3, 4], "exception", None], end], [[2, "cancel", 2], end],
                   idle=[[[9, "end"]], [[3, "raise", "E1"]], [[9, "end"]]]),
         # period 12: cancel at 16, error at 32
         {0: [[32, 0, "value", [2, 3]], [38, 1, "ok"]]})
    both("wait timeout", _scenario({}, [[1, "wait", [1], "all", 1], end], idle=[[[3, "end"]]]),
         {0: [[3, 0, "value", []], [8, 1, "ok"]], 1: [[16, 0, "ok"]]})
    # --- join: owned joins pass the cancellation on
    for owned, last in ((True, [[12, 0, "cancelled"]]), (False, [[22, 0, "ok"]])):
        both("join", _scenario({}, [[1, "join", 2, owned], end], [[2, "cancel", 0], end],
                               idle=[[[3, "end"]]]),
             {0: [[12, 0, "cancelled"]], 2: last})
    # --- timeout 0 polls once
    both("timeout 0", _scenario({"l": lk, "e": ev}, [[1, "timeout", 0, ["lock_acquire", "l"]],
                                                     [1, "timeout", 0, ["event_wait", "e"]], end]),
         {0: [[2, 0, "ok"], [6, 1, "timeout"], [10, 2, "ok"]]})
    # --- the origin chapter, 15.2: three consumers, thresholds 5, 3, 2
    # (tick 1 of the chapter = one round here); notify_all after every push
    produce = lambda v: [[3, "cond_acquire", "c"], [1, "cond_push", "c", v],
                         [1, "cond_notify_all", "c"], [1, "cond_release", "c"]]
    consume = lambda k: [[1, "cond_acquire", "c"], [1, "cond_wait_for", "c", k],
                         [1, "cond_take", "c", k], [1, "cond_release", "c"], end]
    trace = run(_scenario({"c": cd}, sum((produce(v) for v in range(10)), []) + [end],
                          consume(5), consume(3), consume(2)))
    taken = {b: [r[3] for r in trace["bodies"][str(b)] if r[1] == 2][0] for b in (1, 2, 3)}
    if taken != {3: [0, 1], 2: [2, 3, 4], 1: [5, 6, 7, 8, 9]}:
        failures.append(f"chapter 15.2: {taken}")
    for line in failures:
        print(line)
    print(f"selftest on CPython {sys.version.split()[0]}:", "FAILED" if failures else "ok")
    return 1 if failures else 0


# command line -------------------------------------------------------------------
def load(path):
    text = sys.stdin.read() if path in (None, "-") else open(path, encoding="utf-8").read()
    text = text.strip()
    if text.startswith("["):
        return json.loads(text)
    try:
        one = json.loads(text)
        return [one]
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.strip()]


def dump(obj):
    return json.dumps(obj, sort_keys=True, separators=(",", ":"))


def cover(scenarios):
    table = {}
    for scenario in scenarios:
        trace = run(scenario)
        for body in scenario["bodies"]:
            for record in trace["bodies"][str(body["id"])]:
                op = body["ops"][record[1]][1:]
                pairs = [(op, record[2:])]
                if op[0] == "atomic" and record[2] == "value":
                    pairs = list(zip(op[1], record[3]))
                for one, outcome in pairs:
                    label = inner_most(one)[0]
                    if one[0] in ("timeout", "try"):
                        label = f"{one[0]} {label}"
                    what = outcome[0]
                    if what == "error" and not outcome[1].startswith("E"):
                        what = outcome[1]
                    table.setdefault(label, {}).setdefault(what, 0)
                    table[label][what] += 1
    for label in sorted(table):
        print(f"{label:28s}", "  ".join(f"{k}={v}" for k, v in sorted(table[label].items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["run", "classify", "record", "check", "cover", "selftest"])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--model", choices=[*MODELS, *twin.READINGS], default="cpython")
    parser.add_argument("--shuffle", type=int, help="poll woken tasks in a random order; -1: in reverse; from 1000: no rounds")
    parser.add_argument("--pretty", action="store_true")
    parser.add_argument("--fifo", action="store_true", help="record: not on which executors")
    args = parser.parse_args()
    sys.unraisablehook = lambda unraisable: None    # left-over coroutines at interpreter exit
    if args.command == "selftest":
        return selftest()
    scenarios = load(args.files[0] if args.files else None)
    if args.command == "run":
        for scenario in scenarios:
            trace = run(scenario, args.model, args.shuffle)
            print(json.dumps(trace, indent=1, sort_keys=True) if args.pretty else dump(trace))
    elif args.command == "classify":
        for scenario in scenarios:
            tier, why, _ = classify(scenario)
            print(dump({"name": scenario.get("name"), "tier": tier, "why": why}))
    elif args.command == "record":
        for scenario in scenarios:
            print(dump(record(scenario, not args.fifo)), flush=True)
    elif args.command == "cover":
        cover(scenarios)
    else:
        traces = load(args.files[1])
        bad = abs(len(scenarios) - len(traces))
        for scenario, got in zip(scenarios, traces):
            want = run(scenario, args.model)
            if json.loads(dump(want)) != got:
                bad += 1
                print(f"{scenario.get('name')}: differs")
                for bid in want["bodies"]:
                    if want["bodies"][bid] != got.get("bodies", {}).get(bid):
                        print(f"   body {bid}: want {want['bodies'][bid]}")
                        print(f"   {'':{len(bid) + 5}}  got  {got.get('bodies', {}).get(bid)}")
        print(f"{len(scenarios)} scenarios, {bad} differ")
        return 1 if bad else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
