"""Apache Kafka itself for the tests: one KRaft broker on free loopback ports.

Maven fetches the jars once (``pom.xml`` beside this file) and they stay in the user's cache. The broker keeps its
data in a temporary directory, has a plain and a SASL listener, and never outlives the process that started it.
"""

import base64
import contextlib
import hashlib
import re
import shutil
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

from tests.servers.process import free_ports
from tests.servers.server import Server

__all__ = ["MAX_MESSAGE_BYTES", "KafkaServer", "why_kafka_cannot_run"]

POM = Path(__file__).with_name("pom.xml")
CACHE = Path("~/.cache/streamproc/tests/kafka").expanduser()
MAX_MESSAGE_BYTES = 12 * 1024 * 1024
"""Room for a text of 10 MB, which the broker must take so that our own limit is what refuses it."""
JAVA_MIN = 17

LOG4J = """\
status = error
appender.file.type = File
appender.file.name = file
appender.file.fileName = {log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c{{1}}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""


def why_kafka_cannot_run() -> str | None:
    """Say in a sentence what is missing, or None when the broker can be started."""
    java = shutil.which("java")
    if java is None:
        return f"Apache Kafka needs Java {JAVA_MIN} or later; 'java' is not on the PATH"
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < JAVA_MIN:
        return f"Apache Kafka needs Java {JAVA_MIN} or later; this one is {version[1] if version else told!r}"
    if not _libs_dir().is_dir() and shutil.which("mvn") is None:
        return "Apache Kafka's jars are fetched by Maven; 'mvn' is not on the PATH"
    return None


def _libs_dir() -> Path:
    # Named by the pom's contents: another Kafka version gets its own directory.
    return CACHE / hashlib.sha256(POM.read_bytes()).hexdigest()[:16]


def fetch_jars() -> Path:
    """Give the directory of the jars, fetching them on the first call on this machine.

    Raises:
        RuntimeError: Maven failed; its output is in the message.
    """
    libs = _libs_dir()
    if libs.is_dir():
        return libs
    CACHE.mkdir(parents=True, exist_ok=True)
    # Two test runs may fetch at once: each into its own directory, the first to finish gives it the name.
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        shutil.copy(POM, scratch)
        command = [
            *("mvn", "-q", "-B", "-f", f"{scratch}/pom.xml", "dependency:copy-dependencies"),
            *(f"-DoutputDirectory={scratch}/libs", "-DincludeScope=runtime"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(f"Maven could not fetch Apache Kafka: {done.stdout}{done.stderr}")
        with contextlib.suppress(OSError):
            (Path(scratch) / "libs").rename(libs)
    return libs


class KafkaServer(Server):
    """One Apache Kafka broker; use it as a context manager.

    Ports and data stay the same over :meth:`stop`, :meth:`kill` and :meth:`start`.
    """

    username = "tester"
    password = "correct-horse"  # a test's password, for a broker that only loopback reaches

    def __init__(self) -> None:
        broker, controller, sasl = free_ports(3)
        self.bootstrap = f"127.0.0.1:{broker}"
        self.sasl_bootstrap = f"127.0.0.1:{sasl}"
        """SASL_PLAINTEXT with PLAIN or SCRAM-SHA-512, as :attr:`username` and :attr:`password`."""
        self._controller = f"127.0.0.1:{controller}"
        super().__init__("Kafka")
        self._libs = fetch_jars()
        self._properties = self._home / "server.properties"
        self._properties.write_text(self._configuration())
        (self._home / "log4j2.properties").write_text(LOG4J.format(log=self.log))
        self._format()

    @property
    def log(self) -> Path:
        """The broker's own log, warnings and worse."""
        return self._home / "broker.log"

    def _command(self) -> list[str]:
        return self._java(
            "-Xmx512m", "-XX:+UseSerialGC", main="kafka.Kafka", arguments=[str(self._properties)]
        )

    def _answers(self) -> bool:
        host, port = self.bootstrap.split(":")
        # The listener opens only once the broker has registered itself: a connection means it serves.
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return True
        return False

    def _said(self) -> str:
        warned = self.log.read_text()[-3000:] if self.log.exists() else ""
        return f"{super()._said()}\n{warned}"

    def _java(self, *options: str, main: str, arguments: list[str]) -> list[str]:
        log4j = f"-Dlog4j2.configurationFile={self._home / 'log4j2.properties'}"
        return ["java", *options, log4j, "-cp", f"{self._libs}/*", main, *arguments]

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # Java reads a leading dash as an option.
        cluster = cluster.replace("-", "A")
        scram = f"SCRAM-SHA-512=[name={self.username},password={self.password}]"
        arguments = ["format", "-t", cluster, "-c", str(self._properties), "--add-scram", scram]
        done = subprocess.run(
            self._java("-Xmx128m", main="kafka.tools.StorageTool", arguments=arguments),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            self.close()
            raise RuntimeError(f"Apache Kafka's storage could not be formatted: {done.stdout}{done.stderr}")

    def _configuration(self) -> str:
        jaas_plain = (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'user_{self.username}="{self.password}";'
        )
        jaas_scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        listeners = f"PLAIN://{self.bootstrap},SASL://{self.sasl_bootstrap}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{self._controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{listeners},CONTROLLER://{self._controller}",
            "advertised.listeners": listeners,
            "inter.broker.listener.name": "PLAIN",
            "listener.security.protocol.map": "PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_PLAINTEXT",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-512",
            "listener.name.sasl.plain.sasl.jaas.config": jaas_plain,
            "listener.name.sasl.scram-sha-512.sasl.jaas.config": jaas_scram,
            "log.dirs": str(self._home / "data"),
            "message.max.bytes": str(MAX_MESSAGE_BYTES),
            "replica.fetch.max.bytes": str(MAX_MESSAGE_BYTES),
            "offsets.topic.replication.factor": "1",
            # 50 partitions of the offsets topic, the default, make every start slower and serve nothing here.
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            # A worker killed by a test must be able to leave its group soon.
            "group.min.session.timeout.ms": "1000",
            # A killed broker comes back under its old name only after this long (9 s by default).
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "auto.create.topics.enable": "false",
        }
        return "".join(f"{name}={value}\n" for name, value in settings.items())
