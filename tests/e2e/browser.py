# SPDX-License-Identifier: Apache-2.0
"""Chromium without a screen, with a page of JsSIP in it that does what a test says. The page comes from a server in the
test's own network; what the page needs is installed by scripts/setup.sh (tests/browser/package-lock.json)."""

import json
import os
import queue
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import kit as library

PAGES = os.path.join(library.HERE, "..", "browser")
MODULES = os.path.join(PAGES, "node_modules")


def find(name, directory):
    """The file that a CommonJS module of `directory` means by `name`."""
    path = os.path.normpath(os.path.join(directory if name.startswith(".") else MODULES, name))
    if os.path.isdir(path) and not os.path.isfile(path + ".js"):
        main = "index.js"
        if os.path.exists(os.path.join(path, "package.json")):
            with open(os.path.join(path, "package.json")) as file:
                package = json.load(file)
            main = package["browser"] if isinstance(package.get("browser"), str) else package.get("main", main)
        path = os.path.normpath(os.path.join(path, main))
    for ending in ("", ".js", ".json", "/index.js"):
        if os.path.isfile(path + ending):
            return path + ending
    raise library.Failure("there is no module %s for %s" % (name, directory))


def bundle(entry, name):
    """One script of a CommonJS module and of what it requires; it sets the global `name`."""
    waiting, scripts = [find(entry, PAGES)], {}
    while waiting:
        path = waiting.pop()
        if path in scripts:
            continue
        with open(path) as file:
            text = file.read()
        required = {wanted: find(wanted, os.path.dirname(path))
                    for wanted in re.findall(r"\brequire\([\"']([^\"']+)[\"']\)", text)} if path.endswith(".js") else {}
        scripts[path] = ("module.exports = " + text if path.endswith(".json") else text, required)
        waiting += required.values()
    parts = ["%s: [function (module, exports, require) {%s\n}, %s]" % (json.dumps(path), text, json.dumps(required))
             for path, (text, required) in scripts.items()]
    return """(() => { const scripts = {%s}, made = {};
        const load = path => {
            if (!made[path]) {
                const module = made[path] = {exports: {}};
                scripts[path][0](module, module.exports, wanted => load(scripts[path][1][wanted]));
            }
            return made[path].exports;
        };
        window.process = {env: {}};
        window.%s = load(%s); })();""" % (",\n".join(parts), name, json.dumps(find(entry, PAGES)))


class Handler(BaseHTTPRequestHandler):
    def give(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        files = self.server.browser.files
        if self.path in files:
            self.give(*files[self.path])
        else:
            self.send_error(404)

    def do_POST(self):
        answer = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.browser.answers.put(answer)
        self.give("application/json", json.dumps(self.server.browser.commands.get()).encode())

    def log_message(self, *arguments):
        pass


class Browser:
    """`origin` is what its page comes from."""

    def __init__(self, kit, port=8088):
        program = library.need("chromium")
        if not os.path.isdir(os.path.join(MODULES, "jssip")):
            raise library.Skip("JsSIP is not installed: scripts/setup.sh test does so")
        self.origin = "http://127.0.0.1:%d" % port
        self.answers, self.commands = queue.Queue(), queue.Queue()
        with open(os.path.join(PAGES, "page.html"), "rb") as file:
            page = file.read()
        self.files = {"/": ("text/html", page), "/jssip.js": ("text/javascript", bundle("jssip", "JsSIP").encode())}
        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads, server.browser = True, self
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.process = kit.start("chromium", [
            program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--use-fake-device-for-media-stream", "--autoplay-policy=no-user-gesture-required", "--allow-loopback-in-peer-connection",
            "--disable-features=WebRtcHideLocalIpsWithMdns", "--use-fake-ui-for-media-stream", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
            "--user-data-dir=" + kit.path("chromium"), "--ignore-certificate-errors",
            "--host-resolver-rules=MAP %s %s" % (library.DOMAIN, library.OUTSIDE), self.origin + "/"])
        library.check(self.answer(60).get("ready"), "the page did not begin")

    def answer(self, timeout_s):
        try:
            return self.answers.get(timeout=timeout_s)
        except queue.Empty:
            raise library.Failure("the page says nothing: " + self.process.output()[-2000:]) from None

    def ask(self, command, timeout_s=20.0, **values):
        """Lets the page do something; returns its result."""
        self.commands.put({"command": command, **values})
        answer = self.answer(timeout_s)
        library.check("result" in answer, "%s failed: %s" % (command, answer.get("error")))
        return answer["result"]
