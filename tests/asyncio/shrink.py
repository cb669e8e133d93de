"""shrink.py - the smallest scenario on which testudo and the oracle still differ.

    shrink.py BINARY SCENARIOS       BINARY: the test binary, as `cargo test --test asyncio --no-run` names it

Prints the first difference in SCENARIOS, shrunk: bodies, ops, objects, timeouts and delays are taken away as long as it
differs; then both traces, those of the oracle's twin and testudo's.  Exit status 1 if there is one.
"""
import json
import os
import subprocess
import sys
import tempfile

import oracle
import twin

TEST = "every_recorded_program_ends_as_in_cpython_or_as_the_named_designs_say"


def got(binary, scenarios, reading):
    """testudo's traces; None for all if it panics."""
    with tempfile.TemporaryDirectory() as folder:
        programs, out = os.path.join(folder, "programs"), os.path.join(folder, "out")
        with open(programs, "w") as file:
            file.writelines(json.dumps(one) + "\n" for one in scenarios)
        env = dict(os.environ, TESTUDO_SCENARIOS=programs, TESTUDO_OUT=out, TESTUDO_READING=reading)
        env.pop("TESTUDO_TRACES", None)
        try:
            ran = subprocess.run([binary, "--exact", TEST], env=env, capture_output=True, timeout=120)
        except subprocess.TimeoutExpired:
            return [None] * len(scenarios)
        if ran.returncode != 0:
            return [None] * len(scenarios) if len(scenarios) == 1 else sum((got(binary, [s], reading) for s in scenarios), [])
        return [json.loads(line) for line in open(out)]


def wanted(scenario, reading):
    try:
        return json.loads(oracle.dump(oracle.run(scenario, reading)))
    except Exception:                      # what is left makes no sense
        return None


def first_difference(binary, scenarios, reading):
    want = [wanted(s, reading) for s in scenarios]
    sound = [(s, w) for s, w in zip(scenarios, want) if w is not None]
    for (scenario, want), trace in zip(sound, got(binary, [s for s, _ in sound], reading)):
        if trace != want:
            return scenario, want, trace
    return None


def mentions(op, body):
    return any(body == x or isinstance(x, list) and body in x for x in op[2:]
               if op[1] in ("cancel", "spawn", "join", "shield", "gather", "taskgroup", "as_completed", "wait", "tg_spawn"))


def smaller(scenario):
    """All scenarios that are one step smaller, the boldest steps first."""
    def with_bodies(bodies):
        used = {x for b in bodies for x in flat(b["ops"]) if isinstance(x, str)}
        return dict(scenario, bodies=bodies, objects={n: o for n, o in scenario["objects"].items() if n in used})

    bodies = scenario["bodies"]
    for gone in bodies:
        yield with_bodies([dict(b, ops=[op for op in b["ops"] if not mentions(op, gone["id"])])
                           for b in bodies if b is not gone])
    for n, body in enumerate(bodies):
        def ops(new):
            return with_bodies(bodies[:n] + [dict(body, ops=new)] + bodies[n + 1:])
        for i, op in enumerate(body["ops"]):
            before, after = body["ops"][:i], body["ops"][i + 1:]
            if after:
                yield ops(before + after)
            if op[1] in ("timeout", "try"):
                yield ops(before + [[op[0], *op[-1]]] + after)
            if op[1] == "atomic" and len(op[2]) == 1:
                yield ops(before + [[op[0], *op[2][0]]] + after)
            elif op[1] == "atomic":
                for k in range(len(op[2])):
                    rest = op[2][:k] + op[2][k + 1:]
                    yield ops(before + [[op[0], "atomic", rest]] + after)
            if op[0] > 1:
                yield ops(before + [[op[0] - 1, *op[1:]]] + after)


def flat(x):
    return [z for y in x for z in flat(y)] if isinstance(x, list) else [x]


def main():
    sys.unraisablehook = lambda unraisable: None
    binary, path = sys.argv[1:]
    scenarios = oracle.load(path)
    for reading in twin.READINGS:
        found = first_difference(binary, scenarios, reading)
        if found is None:
            continue
        while (less := first_difference(binary, list(smaller(found[0])), reading)) is not None:
            found = less
        print(f"smallest difference, {reading}:\n{json.dumps(found[0])}\nwanted {oracle.dump(found[1])}\n"
              f"got    {oracle.dump(found[2])}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
