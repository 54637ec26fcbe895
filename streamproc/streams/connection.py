"""How any aiokafka client of this package connects: the settings as keyword arguments."""

import ssl
from typing import Any

from streamproc.config import Settings
from streamproc.errors import SettingsError

__all__ = ["client_options"]


def client_options(settings: Settings) -> dict[str, Any]:
    """Give the keyword arguments that aiokafka's producer, consumer and admin client share.

    Raises:
        SettingsError: a login without a user, or a certificate file that cannot be used.
    """
    protocol = settings.kafka_security_protocol
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "client_id": "streamproc",
        "security_protocol": protocol,
    }
    if protocol.startswith("SASL"):
        if not settings.kafka_sasl_username:
            raise SettingsError(
                f"STREAMPROC_KAFKA_SASL_USERNAME is not set, but {protocol} logs in with one: "
                "set it and STREAMPROC_KAFKA_SASL_PASSWORD, or correct STREAMPROC_KAFKA_SECURITY_PROTOCOL."
            )
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_sasl_username,
            "sasl_plain_password": settings.kafka_sasl_password,
        }
    if protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    return options


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    file = settings.kafka_ssl_cafile
    try:
        # Without a file of their own people mean the authorities that the system trusts.
        return ssl.create_default_context(cafile=str(file) if file else None)
    except ssl.SSLError:
        raise SettingsError(
            f"STREAMPROC_KAFKA_SSL_CAFILE = {file} holds no certificate in PEM form: "
            "give the file of the authority that signed the broker's certificate."
        ) from None
    except OSError as error:
        raise SettingsError(
            f"STREAMPROC_KAFKA_SSL_CAFILE = {file} cannot be read: {error.strerror}. Correct the path."
        ) from None
