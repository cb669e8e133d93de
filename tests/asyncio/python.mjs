// CPython as WebAssembly, where the machine's own is too old: `node python.mjs FOLDER SCRIPT ARG...`, with pyodide in FOLDER.
// It sees the files of this machine, also those named in arguments; processes it cannot start.
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const [folder, script, ...rest] = process.argv.slice(2);
const { loadPyodide } = createRequire(path.resolve(folder, "-"))("pyodide");
const inside = (arg) => (path.isAbsolute(arg) && fs.existsSync(arg) ? `/host${arg}` : arg);
const to = (fd) => ({ write: (bytes) => fs.writeSync(fd, bytes) });

const python = await loadPyodide({ env: { HOME: "/", PYTHONDONTWRITEBYTECODE: "1" } });
python.FS.mkdir("/host");
python.FS.mount(python.FS.filesystems.NODEFS, { root: "/" }, "/host");
python.setStdout(to(1));
python.setStderr(to(2));
python.globals.set("ARGV", python.toPy([script, ...rest].map(inside)));
python.globals.set("HERE", `/host${process.cwd()}`);
process.exitCode = python.runPython(`
import asyncio, os, runpy, sys, traceback
os.chdir(HERE)
sys.argv, sys.path[0:0] = list(ARGV), [os.path.dirname(os.path.abspath(ARGV[0]))]
asyncio._set_running_loop(None)  # there is one for the page that nobody has
try:
    runpy.run_path(ARGV[0], run_name="__main__")
    status = 0
except SystemExit as end:
    status = end.code if isinstance(end.code, int) else int(end.code is not None)
except BaseException:
    traceback.print_exc()
    status = 1
sys.stdout.flush()
sys.stderr.flush()
status
`);
