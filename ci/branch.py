"""Compares benches/profile/branch.rs without the feature `profile`, its first argument, and with it, its second one.

Nothing is larger. At each place where a probe would be told something there is one branch more, which is predicted, with six
instructions at most: the load, the test, and what the compiler does because of a call that is not made.
"""

import re
import subprocess
import sys

OFF, ON = sys.argv[1:]


def says(program):
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines()
    return [line for line in lines if line.startswith("size")], [line.split()[1:] for line in lines if line.startswith("row")]


def count(program, row):
    """Instructions, conditional branches and mispredicted ones, for an operation."""

    def run(n):
        command = ["valgrind", "--tool=callgrind", "--branch-sim=yes", "--callgrind-out-file=/dev/null", program, row, str(n)]
        log = subprocess.run(command, check=True, capture_output=True, text=True).stderr
        return [int(number) for number in re.search(r"Collected : ([0-9 ]+)", log)[1].split()[:3]]

    return [(twice - once) / 1000 for once, twice in zip(run(1000), run(2000))]


(off_sizes, rows), (on_sizes, _) = says(OFF), says(ON)
assert off_sizes == on_sizes and rows, (off_sizes, on_sizes)
for row, places in rows:
    off, on = count(OFF, row), count(ON, row)
    instructions, branches, missed = (b - a for a, b in zip(off, on))
    print(f"{row}: {off[0]:g} instructions; with the feature, and nobody who records, {on[0]:g}, {branches:g} more branches")
    assert instructions > 0 and branches > 0, "nothing was added: the compiler knew that nobody records"
    # The simulated predictor has few places: of an operation's own branches one in a hundred may lose its.
    predicted = missed <= max(0.01, off[1] / 100)
    assert branches <= int(places) and predicted and instructions <= 6 * int(places), (places, off, on)
