"""Checks the labels, SAFETY and ORDER comments of src/. Arguments: the files that may hold unsafe code.

A file header is the run of plain `//` comments before the first item. It declares T labels in its STATE section, I labels under
INVARIANTS and E labels under EDGES. `//` and `///` comments after the header cite. A citation means the file's own label, or that
of a file in src/wait/, or, written `list I2` or `I2 of list.rs`, that of the file so named. tests/loom cites too, also by names
such as `fn e1_set_publishes`.
"""

import pathlib
import re
import sys

LABEL = re.compile(
    r"(?:\b([a-z_]+)(?:\.rs)?`?(?:'s)? +)?\b([TIE][1-9][0-9]?)\b"  # list I2
    r"(?: ?(?:-|–|\.\.|…) ?([TIE][1-9][0-9]?)\b)?(?: of `?([a-z_]+)\b)?"  # T1..T4, I2 of list.rs
)
SECTION = re.compile(r"// ?([A-Z]{4,})\b")
KINDS = {"STATE": "T", "TRANSITIONS": "T", "INVARIANTS": "I", "EDGES": "E"}
ORDERING = re.compile(r"\b(Relaxed|Acquire|Release|AcqRel|SeqCst)\b(?! ?[<{\[])")  # `Acquire<H>` is a future
CALL = re.compile(r"(\.(load|store|swap|fetch_\w+|compare_exchange\w*)|\bfence)\s*\(")
errors = []


def split(text):
    """Each line as (code, comment), strings and chars blanked, `//!` and block comments dropped."""
    rows, block = [], False
    for line in text.splitlines():
        line = re.sub(r"b?'(\\.|[^'\\])'", "' '", line)
        if not re.match(r"\s*//", line):
            line = re.sub(r'"(\\.|[^"\\])*"', '""', line)
        code, comment = re.match(r"(.*?)(//.*)?$", line).groups()
        if block or "/*" in code:
            block = "*/" not in code
            code = re.sub(r"/\*.*", "", code) if "/*" in code else ""
        rows.append((code, "" if (comment or "").startswith("//!") else comment or ""))
    return rows


def labels(text):
    """(file stem or any word before it, label) for each label in a comment, ranges written out."""
    for before, first, last, after in LABEL.findall(text):
        kind, low = first[0], int(first[1:])
        high = int(last[1:]) if last and last[0] == kind else low
        yield from ((after or before, f"{kind}{n}") for n in range(low, max(low, high) + 1))
        if last and last[0] != kind:
            yield "", last


class Source:
    def __init__(self, path):
        self.path, self.rows = path, split(path.read_text())
        self.declared, self.cited, self.used = {}, [], set()  # label -> line; (prefix, label, line); labels somebody cites
        section, self.head = "", len(self.rows)
        for at, (code, comment) in enumerate(self.rows):
            if code.strip() and not code.strip().startswith("#![") or comment.startswith("///"):
                self.head = at
                break
            if found := SECTION.match(comment):
                section = found[1]
            for _, label in labels(comment):
                if KINDS.get(section) == label[0]:
                    self.declared.setdefault(label, at + 1)
        for at in range(self.head, len(self.rows)):
            self.cited += [(prefix, label, at + 1) for prefix, label in labels(self.rows[at][1])]

    def error(self, line, text):
        errors.append(f"{self.path}:{line}: {text}")

    def has(self, word, first, last):
        """Whether a comment on lines first-3 to last, or in the block of comments that ends there, holds the word."""
        low = first - 3
        while low > 0 and self.rows[low][1] and not self.rows[low][0].strip():
            low -= 1
        return any(word in comment for _, comment in self.rows[max(low, 0) : last + 1])

    def check_blocks(self, allowed):
        tests = next((at for at, (code, _) in enumerate(self.rows) if re.search(r"#\[cfg\((all\()?test\b", code)), len(self.rows))
        joined = "\n".join(code for code, _ in self.rows[:tests])
        joined = re.sub(r"\buse\b[^;]*;", lambda m: re.sub(r"[^\n]", " ", m[0]), joined)
        line_of = lambda index: joined.count("\n", 0, index)
        found = re.search(r"\bunsafe\b|\b(allow|expect)\(unsafe_code\)", joined)
        if found and not allowed:
            self.error(line_of(found.start()) + 1, "unsafe code in a file that ci/labels.sh does not list")
        if allowed and not found:
            self.error(1, "no unsafe code in a file that ci/labels.sh lists")
        for found in re.finditer(r"\bunsafe\s*(\{|impl\b)", joined):
            at = line_of(found.start())
            if not self.has("SAFETY:", at, at):
                self.error(at + 1, "unsafe without a `// SAFETY:` comment on it or within three lines above")
        covered = []
        for found in CALL.finditer(joined):
            end, depth = found.end(), 1
            while depth and end < len(joined):
                depth += {"(": 1, ")": -1}.get(joined[end], 0)
                end += 1
            if ORDERING.search(joined, found.end(), end):
                covered.append((found.start(), end))
        spots = [m.start() for m in ORDERING.finditer(joined) if not any(a <= m.start() < b for a, b in covered)]
        for start, end in covered + [(spot, spot) for spot in spots]:
            first, last = line_of(start), line_of(end)
            if not self.has("ORDER:", first, last):
                self.error(first + 1, "an atomic ordering without an `ORDER:` comment on it or within three lines above")


def main():
    allowed = sys.argv[1:]
    sources = [Source(path) for path in sorted(pathlib.Path("src").rglob("*.rs"))]
    shared = [s for s in sources if s.path.parts[:2] == ("src", "wait")]
    loom = "\n".join(path.read_text() for path in pathlib.Path("tests/loom").rglob("*.rs"))
    in_loom = {m.upper() for m in re.findall(r"\b[TIE][1-9][0-9]?\b|(?<=\bfn )[tie][1-9][0-9]?(?=_)", loom)}
    for source in sources:
        source.check_blocks(source.path.as_posix() in allowed)
        for prefix, label, line in source.cited:
            named = [s for s in sources if label in s.declared and prefix == (s.path.parent.name if s.path.stem == "mod" else s.path.stem)]
            found = named or [s for s in [source] if label in s.declared] or [s for s in shared if label in s.declared]
            for owner in found:
                owner.used.add(label)
            if not found:
                source.error(line, f"cites {label}, which neither this header nor one in src/wait/ declares")
    for source in sources:
        for label, line in source.declared.items():
            if label not in source.used and label not in in_loom:
                source.error(line, f"declares {label}, which nothing cites")
    for path in allowed:
        if not pathlib.Path(path).exists():
            errors.append(f"ci/labels.sh: lists {path}, which does not exist")
    print("\n".join(errors), file=sys.stderr if errors else sys.stdout, end="\n" if errors else "")
    declared, cited = sum(len(s.declared) for s in sources), sum(len(s.cited) for s in sources)
    print(f"{len(sources)} files, {declared} labels declared, {cited} citations, {len(errors)} errors")
    if not sources or errors:
        sys.exit(1)


main()
