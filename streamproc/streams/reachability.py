"""Whether Kafka can be reached and, where it cannot, why.

aiokafka tries the bootstrap addresses one by one and reports only "Unable to bootstrap". Here one connection is
opened by hand, up to the brokers' own addresses, so that a wrong password, a wrong protocol and a broker that is
down each have a sentence of their own.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka import errors as kafka_errors
from aiokafka.conn import AIOKafkaConnection, collect_hosts, create_conn
from aiokafka.protocol.metadata import MetadataRequest

from streamproc.config import Settings
from streamproc.errors import DependencyDownError, SettingsError, StreamprocError
from streamproc.streams.connection import client_options

__all__ = ["require_kafka"]

ANSWER_SECONDS = 10.0
"""A broker that takes a connection answers its first request in milliseconds; this is patience with a far one."""

_LOGIN = (kafka_errors.SaslAuthenticationFailed, kafka_errors.AuthenticationFailedError)
_MECHANISM = (kafka_errors.UnsupportedSaslMechanismError, kafka_errors.IllegalSaslStateError)


async def require_kafka(settings: Settings) -> None:
    """Return when Kafka can be used with these settings.

    Raises:
        SettingsError: it answers, but not to these settings (address, protocol, login, certificate).
        DependencyDownError: no bootstrap address answers, or the brokers' own addresses do not.
    """
    with _quiet():
        failure: StreamprocError | None = None
        for host, port, _ in collect_hosts(settings.kafka_bootstrap, randomize=False):
            try:
                brokers = await _brokers_behind(settings, host, port)
            except StreamprocError as error:
                # One address that works is enough; of several failures the first is as good as any.
                failure = failure or error
                continue
            await _require_advertised(settings, (host, port), brokers)
            return
        if failure is None:
            raise SettingsError(
                f"STREAMPROC_KAFKA_BOOTSTRAP = {settings.kafka_bootstrap!r} names no address: give host:port."
            )
        raise failure


async def _brokers_behind(settings: Settings, host: str, port: int) -> list[tuple[str, int]]:
    try:
        connection = await _connect(settings, host, port)
    except (OSError, EOFError, kafka_errors.KafkaError) as error:
        raise _explained(settings, f"{host}:{port}", error) from error
    try:
        metadata = await connection.send(MetadataRequest([]))
    except (OSError, kafka_errors.KafkaError) as error:
        raise _explained(settings, f"{host}:{port}", error) from error
    finally:
        connection.close()
    return [(broker[1], broker[2]) for broker in metadata.brokers]


async def _require_advertised(
    settings: Settings, bootstrap: tuple[str, int], brokers: list[tuple[str, int]]
) -> None:
    for host, port in brokers:
        if (host, port) == bootstrap:
            continue
        try:
            (await _connect(settings, host, port)).close()
        except (OSError, EOFError, kafka_errors.KafkaError) as error:
            raise DependencyDownError(
                "Kafka",
                f"{bootstrap[0]}:{bootstrap[1]} answers and sends its clients on to {host}:{port}, which does not "
                f"({_brief(error)}). Correct advertised.listeners on the broker, or make that address reachable.",
            ) from error


async def _connect(settings: Settings, host: str, port: int) -> AIOKafkaConnection:
    options = client_options(settings)
    del options["bootstrap_servers"]
    return await create_conn(host, port, request_timeout_ms=int(ANSWER_SECONDS * 1000), **options)


def _explained(settings: Settings, address: str, error: BaseException) -> StreamprocError:
    sentence = _about_login(settings, address, error) or _about_protocol(settings, address, error)
    if sentence is not None:
        return SettingsError(sentence)
    return DependencyDownError(
        "Kafka", f"{address}: {_brief(error)}. Start the broker or correct STREAMPROC_KAFKA_BOOTSTRAP."
    )


def _about_login(settings: Settings, address: str, error: BaseException) -> str | None:
    # aiokafka raises either the broker's answer itself or a closed connection that it caused.
    errors = (error, error.__cause__)
    if any(isinstance(one, _LOGIN) for one in errors):
        return (
            f"Kafka at {address} refuses the login of user {settings.kafka_sasl_username!r} by "
            f"{settings.kafka_sasl_mechanism}: user or password is wrong. Correct "
            "STREAMPROC_KAFKA_SASL_USERNAME and STREAMPROC_KAFKA_SASL_PASSWORD."
        )
    if any(isinstance(one, _MECHANISM) for one in errors):
        return (
            f"Kafka at {address} offers no login by {settings.kafka_sasl_mechanism} on this port. Correct "
            "STREAMPROC_KAFKA_SASL_MECHANISM, STREAMPROC_KAFKA_SECURITY_PROTOCOL or the port in "
            "STREAMPROC_KAFKA_BOOTSTRAP."
        )
    return None


def _about_protocol(settings: Settings, address: str, error: BaseException) -> str | None:
    protocol = settings.kafka_security_protocol
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"The certificate of Kafka at {address} is not trusted: {error.verify_message}. Set "
                "STREAMPROC_KAFKA_SSL_CAFILE to the authority that signed it."
            )
        case ssl.SSLError():
            return (
                f"Kafka at {address} does not speak TLS on this port, but STREAMPROC_KAFKA_SECURITY_PROTOCOL = "
                f"{protocol} asks for it. Correct the protocol or the port in STREAMPROC_KAFKA_BOOTSTRAP."
            )
        case socket.gaierror():
            return (
                f"STREAMPROC_KAFKA_BOOTSTRAP = {settings.kafka_bootstrap!r}: no host has the name "
                f"in {address}. Correct the name."
            )
        case kafka_errors.KafkaConnectionError() | EOFError() | ConnectionResetError():
            return (
                f"Kafka at {address} takes the connection and closes it at the first request. Most likely "
                f"STREAMPROC_KAFKA_SECURITY_PROTOCOL = {protocol} is not what this port speaks (TLS, login), "
                "or the port is not Kafka's."
            )
        case _:
            return None


def _brief(error: BaseException) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    return str(error) or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    # A connection that breaks is what is looked for here: aiokafka's trace of it would only hide the sentence.
    logger = logging.getLogger("aiokafka")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
