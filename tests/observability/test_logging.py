import json
import subprocess
import sys

SCRIPT = """
import logging, structlog
from streamproc.observability.logging import configure_logging
configure_logging("info")
structlog.get_logger("streamproc.streams").info("a sentence", count=3)
logging.getLogger("aiokafka.consumer").info("a fetch")
logging.getLogger("aiokafka.consumer").warning("a rebalance")
try:
    1 / 0
except ZeroDivisionError:
    structlog.get_logger("streamproc.streams").exception("it broke")
print("data")
"""


def test_logs_are_json_lines_on_stderr_and_libraries_are_heard_from_warnings_up():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert run.stdout == "data\n"
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["a sentence", "a rebalance", "it broke"]
    assert lines[0] == {
        "event": "a sentence",
        "count": 3,
        "level": "info",
        "logger": "streamproc.streams",
        "timestamp": lines[0]["timestamp"],
    }
    assert "ZeroDivisionError" in lines[2]["exception"]
