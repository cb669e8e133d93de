"""Loads what ci/profile.sh wrote into a folder, its first argument, with the readers that its formats are for.

With Chromium as its second argument it opens snakeviz's page there, looks for the program's names in what is drawn, and
leaves a picture of it in the folder.
"""

import asyncio
import base64
import json
import pathlib
import pstats
import sys
import tempfile
import urllib.parse

NAMES = "<task>", "sim task", "group child", "Event::wait `ready`", "Queue::get `bounded`", "executors.rs"


def load(folder):
    for name in "three", "tour":
        stats = pstats.Stats(f"{folder}/{name}.pstats").strip_dirs().sort_stats("cumulative")
        assert stats.total_calls > 0 and any(name == "<task>" for *_, name in stats.stats), stats.stats

    # Three tasks hold a lock for 10 ms each, in virtual time: two waits, 30 ms, by two callers.
    lock = pstats.Stats(f"{folder}/three.pstats").stats["~", 0, "Mutex::lock `stock`"]
    assert lock[:2] == (2, 2) and abs(lock[3] - 0.030) < 1e-12 and len(lock[4]) == 2, lock

    with open(f"{folder}/trace.json", encoding="utf-8") as trace:
        assert json.load(trace)["otherData"] == {"dropped_events": 0}


class Browser:
    """A page in Chromium, over its debugging protocol."""

    def __init__(self, socket):
        self.socket, self.calls = socket, 0

    async def call(self, method, **params):
        self.calls += 1
        await self.socket.write_message(json.dumps({"id": self.calls, "method": method, "params": params}))
        while True:
            answer = json.loads(await self.socket.read_message())
            if answer.get("id") == self.calls:
                return answer["result"]

    async def text(self, selector):
        script = f"[...document.querySelectorAll({selector!r})].map(node => node.textContent).join('\\n')"
        return (await self.call("Runtime.evaluate", expression=script))["result"]["value"]


async def until(ready):
    """What `ready` returns, once that is something; for ten seconds at most, a try each tenth of a second."""
    for _ in range(100):
        if found := await ready():
            return found
        await asyncio.sleep(0.1)
    raise TimeoutError(ready.__name__)


async def look(folder, chromium):
    """Opens the tour's profile in snakeviz, which runs here, on a port of its own."""
    import tornado.httpclient
    import tornado.httpserver
    import tornado.netutil
    import tornado.websocket
    from snakeviz.main import app

    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    tornado.httpserver.HTTPServer(app).add_sockets(sockets)
    path = urllib.parse.quote(f"{folder}/tour.pstats", safe="")
    page = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/snakeviz/{path}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as data:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
        flags += ["--disable-background-networking", "--disable-component-update", "--window-size=1200,1400"]
        flags += [f"--user-data-dir={data}", "--remote-debugging-port=0"]
        # Nobody but snakeviz is asked for anything: its page looks for its libraries on the net first.
        flags += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", page]
        quiet = asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(chromium, *flags, stdout=quiet, stderr=quiet)

        async def port():
            file = pathlib.Path(data, "DevToolsActivePort")
            return file.exists() and file.read_text().splitlines()[:1]

        async def target():
            (number,) = await until(port)
            answer = await tornado.httpclient.AsyncHTTPClient().fetch(f"http://127.0.0.1:{number}/json/list")
            return [it["webSocketDebuggerUrl"] for it in json.loads(answer.body) if it["url"].startswith(page[:20])]

        try:
            (address,) = await until(target)
            socket = await tornado.websocket.websocket_connect(address, max_message_size=1 << 26)
            browser = Browser(socket)
            chart = await until(lambda: browser.text("#chart text"))
            table = await browser.text("#pstats-table td")
            for name in NAMES:
                assert name in table, f"{name} is not in snakeviz's table: {table}"
            assert NAMES[0] in chart and "executors.rs" in chart, f"not drawn: {chart}"
            picture = pathlib.Path(folder, "snakeviz.png")
            shot = await browser.call("Page.captureScreenshot", captureBeyondViewport=True)
            picture.write_bytes(base64.b64decode(shot["data"]))
            socket.close()
            print(f"snakeviz shows the tasks and the resources of the tour: {picture}")
        finally:
            process.kill()
            await process.wait()


load(sys.argv[1])
if len(sys.argv) > 2:
    asyncio.run(look(sys.argv[1], sys.argv[2]))
