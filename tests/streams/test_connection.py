"""Settings as aiokafka's keyword arguments."""

import ssl

import pytest

from streamproc.config import Settings
from streamproc.errors import SettingsError
from streamproc.streams.connection import client_options


def test_a_plain_connection_needs_an_address_only():
    options = client_options(Settings(kafka_bootstrap="k:1"))
    assert options == {
        "bootstrap_servers": "k:1",
        "client_id": "streamproc",
        "security_protocol": "PLAINTEXT",
    }


def test_a_login_carries_mechanism_user_and_password():
    options = client_options(
        Settings(
            kafka_security_protocol="SASL_PLAINTEXT", kafka_sasl_username="ann", kafka_sasl_password="secret"
        )
    )
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("ann", "secret")
    assert "ssl_context" not in options


def test_tls_verifies_the_broker():
    context = client_options(Settings(kafka_security_protocol="SSL"))["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_login_without_a_user_names_the_variable():
    with pytest.raises(SettingsError, match="STREAMPROC_KAFKA_SASL_USERNAME is not set"):
        client_options(Settings(kafka_security_protocol="SASL_SSL"))


def test_a_missing_certificate_file_is_named(tmp_path):
    missing = tmp_path / "ca.pem"
    with pytest.raises(
        SettingsError, match=r"STREAMPROC_KAFKA_SSL_CAFILE = .*ca\.pem cannot be read: No such file"
    ):
        client_options(Settings(kafka_security_protocol="SSL", kafka_ssl_cafile=missing))


def test_a_file_that_is_no_certificate_is_named(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    with pytest.raises(SettingsError, match=r"ca\.pem holds no certificate in PEM form"):
        client_options(Settings(kafka_security_protocol="SSL", kafka_ssl_cafile=file))
