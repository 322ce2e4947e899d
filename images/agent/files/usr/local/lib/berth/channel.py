"""The in-pod channel: how a session's pod talks to the runtime. Standard library only.

BERTH_URL says where the runtime is, and the file BERTH_TOKEN_FILE (default /etc/berth/session/token) holds the token by
which this pod speaks for its session and no other.
"""

import json
import os
import random
import time
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 10
LONGEST_PAUSE_SECONDS = 30

# Whatever proxy the tenant gives its agents: the runtime is inside the cluster.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Refused(Exception):
    """The runtime answered, but not with success. `retry_after` is in seconds, or None."""

    def __init__(self, status, detail, retry_after=None):
        super().__init__(f"{status} {detail}")
        self.status = status
        self.retry_after = retry_after


def call(method, path, body=None, timeout=TIMEOUT_SECONDS):
    """One request. Returns the answer's JSON, or None where there is none. Raises OSError or Refused."""
    request = urllib.request.Request(os.environ["BERTH_URL"] + path, method=method)
    with open(os.environ.get("BERTH_TOKEN_FILE", "/etc/berth/session/token")) as file:
        request.add_header("authorization", "Bearer " + file.read().strip())
    if body is not None:
        request.add_header("content-type", "application/json")
        request.data = json.dumps(body).encode()
    try:
        with _opener.open(request, timeout=timeout) as answer:
            text = answer.read()
            return json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        with error:
            raise Refused(error.code, _detail(error), _seconds(error.headers.get("retry-after"))) from None


def insist(log, method, path, body=None):
    """Asks until the runtime answers with success, however long it takes: when the runtime says, or less and less often.
    Says in the log when it begins to wait."""
    attempt = 0
    waits = False
    while True:
        try:
            answer = call(method, path, body)
            if waits:
                log(f"{method} {path}: answered")
            return answer
        except (OSError, KeyError, ValueError, Refused) as error:
            if not waits:
                log(f"{method} {path}: {type(error).__name__}: {error}; trying again")
            waits = True
            retry_after = getattr(error, "retry_after", None)
            if retry_after:
                time.sleep(retry_after)
                continue
            time.sleep(min(LONGEST_PAUSE_SECONDS, 0.25 * 2**attempt) * random.uniform(0.5, 1))
            attempt = min(attempt + 1, 10)


def _detail(error):
    try:
        return json.loads(error.read()).get("detail", "")
    except (OSError, ValueError, AttributeError):
        return ""


def _seconds(text):
    return min(int(text), 60) if text and text.isdigit() else None
