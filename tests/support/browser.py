"""A headless Chromium that opens pages, driven through its debugging pipe.

The DevTools protocol over file descriptors 3 and 4: JSON messages that end with a zero byte.
"""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next((path for path in map(shutil.which, NAMES) if path), None)
LONGEST_WAIT = 60  # s for one answer
FLAGS = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--no-sandbox",
    "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-background-networking",
)  # fmt: skip


class Page:
    """An open page.

    Attributes:
        messages: what its scripts wrote to the console, and their exceptions.
        requests: addresses that it asked for.
    """

    def __init__(self, read, write):
        self._read, self._write, self._buffer, self._number = read, write, b"", 0
        self._session = None
        self.messages, self.requests = [], []

    def open(self, url, width, height):
        """Open a page in a window of a size in px."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        self.resize(width, height)
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + LONGEST_WAIT
        while self.evaluate("document.readyState") != "complete":
            assert time.monotonic() < deadline, f"{url} does not load"
            time.sleep(0.05)
        self.evaluate("new Promise(done => setTimeout(done, 50))")  # handlers of the load event

    def resize(self, width, height):
        """Change the size of the window, px."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def evaluate(self, script):
        """Return the JSON value of a JavaScript expression."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def point(self, x, y):
        """Move the mouse to a point of the window, px."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def press(self, key, modifiers=0):
        """Press and release a key, such as "ArrowLeft" or " "; modifiers: 8 for shift."""
        code = {" ": 32, "Tab": 9, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowUp": 38,
                "ArrowRight": 39, "ArrowDown": 40, "Enter": 13}[key]  # fmt: skip
        common = {"key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        text = {"text": {" ": " ", "Enter": "\r"}[key]} if key in (" ", "Enter") else {}
        self.call(
            "Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **common, **text
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def screenshot(self, selector=None):
        """Return a PNG of the window, or of the first element that a CSS selector names."""
        if selector is None:
            return base64.b64decode(self.call("Page.captureScreenshot")["data"])
        box = self.evaluate(
            f"(() => {{ const b = document.querySelector({json.dumps(selector)})"
            ".getBoundingClientRect(); return {x: b.x + scrollX, y: b.y + scrollY,"
            " width: b.width, height: b.height}; })()"
        )
        clip = {**box, "scale": 1}
        answer = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def call(self, method, **parameters):
        """Call a method of the protocol and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next_message()
            if answer.get("id") == self._number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self._note(answer)

    def _note(self, event):
        if event.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
            self.messages.append(event["params"])
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(event["params"]["request"]["url"])

    def _next_message(self):
        while b"\0" not in self._buffer:
            assert select.select([self._read], [], [], LONGEST_WAIT)[0], "Chromium does not answer"
            part = os.read(self._read, 1 << 20)
            assert part, "Chromium ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)


@contextlib.contextmanager
def chromium(profile):
    """Start Chromium with a folder of its own, and give a `Page`."""
    commands_out, commands_in = os.pipe()
    answers_out, answers_in = os.pipe()

    # both ends above 4 first, so that neither replaces the other
    script = f'exec 8<&{commands_out} 9>&{answers_in}; exec 3<&8 4>&9 8<&- 9>&-; exec "$@"'
    command = ["bash", "-c", script, "bash", PROGRAM, *FLAGS, f"--user-data-dir={profile}"]
    process = subprocess.Popen(
        command,
        pass_fds=(commands_out, answers_in),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"HOME": str(profile)},
    )
    os.close(commands_out)
    os.close(answers_in)
    try:
        yield Page(answers_out, commands_in)
    finally:
        with contextlib.suppress(OSError):
            os.write(commands_in, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(commands_in)
        os.close(answers_out)
