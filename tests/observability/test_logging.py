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


AGAIN_AND_AGAIN = """
import logging
from streamproc.observability import logging as ours
ours.configure_logging("info")
kafka, own = logging.getLogger("aiokafka.client"), logging.getLogger("streamproc.x")
for node in range(500):
    kafka.error("Unable to connect to node %s", node)
    own.warning("ours")
kafka.error("something else")
ours.SELDOM_SECONDS = 0
kafka.error("Unable to connect to node %s", 7)
"""


def test_a_client_that_says_the_same_of_every_attempt_is_heard_once_a_minute():
    run = subprocess.run([sys.executable, "-c", AGAIN_AND_AGAIN], capture_output=True, text=True, check=True)
    said = [json.loads(line)["event"] for line in run.stderr.splitlines()]
    assert [each for each in said if each != "ours"] == [
        "Unable to connect to node 0",
        "something else",
        "Unable to connect to node 7 (and 499 times more since it was said last)",
    ]
    assert said.count("ours") == 500


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
