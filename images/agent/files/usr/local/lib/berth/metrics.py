"""What Prometheus is told about this session, at :6081/metrics. No id is a label: Prometheus knows the pod."""

import http.server
import os
import threading
import time

COMMAND_STATES = ("waiting", "none", "running", "ended")


class Metrics:
    """The figures. `command` is one of COMMAND_STATES; `last_activity` is in seconds since 1970."""

    def __init__(self):
        self.command = "waiting"
        self.last_activity = time.time()
        self._since = time.monotonic()

    def text(self):
        lines = [
            "# HELP session_up 1 while the session's helper runs.",
            "# TYPE session_up gauge",
            "session_up 1",
            "# HELP session_uptime_seconds For how long it has been running.",
            "# TYPE session_uptime_seconds gauge",
            f"session_uptime_seconds {time.monotonic() - self._since:.3f}",
            "# HELP session_last_activity_timestamp_seconds When somebody or something last typed or pointed.",
            "# TYPE session_last_activity_timestamp_seconds gauge",
            f"session_last_activity_timestamp_seconds {self.last_activity:.3f}",
            "# HELP session_command 1 for the state of the agent's command; none: the session has no command.",
            "# TYPE session_command gauge",
            *(f'session_command{{state="{state}"}} {int(state == self.command)}' for state in COMMAND_STATES),
        ]
        return "\n".join(lines) + "\n"

    def serve(self):
        """Serves them in the background, at port BERTH_METRICS_PORT, default 6081. Returns the port, for 0 a free one."""
        metrics = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 5

            def do_GET(self):
                found = self.path == "/metrics"
                body = metrics.text().encode() if found else b"only /metrics is here\n"
                self.send_response(200 if found else 404)
                self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8" if found else "text/plain")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        port = int(os.environ.get("BERTH_METRICS_PORT", "6081"))
        server = http.server.ThreadingHTTPServer(("0.0.0.0", port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]
