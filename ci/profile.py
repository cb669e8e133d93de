"""Loads what ci/profile.sh wrote into a folder, its argument, with the readers that its formats are for.

With snakeviz installed it makes the tree and the table of snakeviz's page, and looks for the program's names there.
"""

import json
import pstats
import sys

folder = sys.argv[1]
for name in "three", "tour":
    stats = pstats.Stats(f"{folder}/{name}.pstats").strip_dirs().sort_stats("cumulative")
    assert stats.total_calls > 0 and any(name == "<task>" for *_, name in stats.stats), stats.stats

# Three tasks hold a lock for 10 ms each, in virtual time: two waits, 30 ms, by two callers.
lock = pstats.Stats(f"{folder}/three.pstats").stats["~", 0, "Mutex::lock `stock`"]
assert lock[:2] == (2, 2) and abs(lock[3] - 0.030) < 1e-12 and len(lock[4]) == 2, lock

with open(f"{folder}/trace.json", encoding="utf-8") as trace:
    assert json.load(trace)["otherData"] == {"dropped_events": 0}

if len(sys.argv) > 2:
    from snakeviz.stats import json_stats, table_rows

    stats = pstats.Stats(f"{folder}/tour.pstats")
    page = json.dumps(json_stats(stats)) + json.dumps(table_rows(stats))
    for name in "<task>", "Event::wait `ready`", "Queue::get `bounded`", "executors.rs":
        assert name in page, f"{name} is not in {page}"
    print("snakeviz shows the tasks and the resources of the tour")
