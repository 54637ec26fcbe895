"""Settings, frozen, from the environment (``STREAMPROC_…``) or ``streamproc.toml``.

The environment wins over the file. A wrong value is one sentence that names the variable
(:class:`~streamproc.errors.SettingsError`, exit status 2).
"""

import difflib
import os
import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as UnreadableSettingError

from streamproc.errors import SettingsError

__all__ = ["FitConfidences", "Inference", "KindRule", "Settings", "WriteBack", "load_settings"]

PREFIX = "STREAMPROC_"
_MISSPELT = 0.85
"""How alike two names are, by difflib's ratio, of which one is a misspelling of the other."""

KIB = 1024
MIB = 1024 * KIB


class Inference(StrEnum):
    """Where the models run."""

    ONNX = "onnx"
    TRITON = "triton"


class WriteBack(StrEnum):
    """Whether this worker's notes enter the graph."""

    ON = "on"
    OFF = "off"


class FitConfidences(StrEnum):
    """Whether confidences are fitted to labelled history where a command is given some."""

    ON = "on"
    OFF = "off"


class KindRule(BaseModel):
    """What holds for tags of one kind where it differs from the rule for all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_confidence: float | None = Field(None, ge=0, le=1)
    review_confidence: float | None = Field(None, ge=0, le=1)
    max_tags: int | None = Field(None, ge=0, le=100)


class Settings(BaseSettings):
    """Everything an operator may set. Names of variables: ``STREAMPROC_`` + the field in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", toml_file="streamproc.toml"
    )

    kafka_bootstrap: str = Field("127.0.0.1:9092", min_length=1)
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_sasl_username: str = ""
    kafka_sasl_password: str = Field("", repr=False)
    kafka_ssl_cafile: Path | None = None
    topic_prefix: str = Field("", max_length=64, pattern=r"^[A-Za-z0-9._-]*$")
    topic_partitions: int = Field(6, ge=1, le=1000)
    topic_replication: int = Field(1, ge=1, le=9)
    consumer_group: str = Field("streamproc", min_length=1, max_length=200)

    milvus_uri: str = Field("streamproc.db", min_length=1)
    milvus_token: str = Field("", repr=False)
    milvus_timeout_seconds: float = Field(10.0, gt=0, le=600)

    inference: Inference = Inference.ONNX
    inference_threads: int = Field(0, ge=0, le=256, description="0: as many as there are cores")
    triton_url: str = "127.0.0.1:8001"
    triton_tls: bool = False
    triton_ca_file: Path | None = Field(
        None, description="PEM of the authority that signed Triton's certificate; implies TLS"
    )
    triton_token: str = Field("", repr=False, description="sent as 'authorization: Bearer …'")
    triton_timeout_seconds: float = Field(10.0, gt=0, le=600)
    triton_concurrency: int = Field(8, ge=1, le=1024, description="requests under way at once")
    triton_model_version: int = Field(
        0, ge=0, description="the only version that is asked; 0: the newest that holds the bundle's weights"
    )
    bundle: Path | None = None
    calibration: Path | None = Field(
        None, description="a file of streamproc calibrate confidence; its map replaces the bundle's"
    )
    fit_confidences: FitConfidences = Field(
        FitConfidences.ON, description="whether demo, tag, import and eval fit the map to labelled history"
    )
    shadow_bundle: Path | None = Field(None, description="its models judge some notes too, to no effect")
    shadow_share: float = Field(0.1, ge=0, le=1, description="of the notes, by a hash of their id")

    write_back: WriteBack = WriteBack.ON
    min_confidence: float = Field(0.5, ge=0, le=1)
    review_confidence: float | None = Field(
        None, ge=0, le=1, description="from here to min_confidence people decide; none: such tags are dropped"
    )
    max_tags: int = Field(10, ge=1, le=100)
    kinds: dict[str, KindRule] = Field(
        default_factory=dict, description='JSON, for instance {"category": {"max_tags": 1}}'
    )
    related_notes: int = Field(5, ge=0, le=50)

    batch_size: int = Field(64, ge=1, le=1024)
    linger_seconds: float = Field(0.02, ge=0, le=10)
    attempt_seconds: float = Field(30.0, gt=0, le=600)
    max_attempts: int = Field(5, ge=1, le=100)
    drain_seconds: float = Field(10.0, gt=0, le=300)
    stuck_seconds: float = Field(120.0, gt=0, le=3600)
    session_timeout_seconds: float = Field(60.0, ge=6, le=600)

    max_note_bytes: int = Field(MIB, ge=KIB, le=64 * MIB)
    max_text_chars: int = Field(200_000, ge=1)

    web_host: str = "0.0.0.0"  # noqa: S104 - probes and scrapers come from outside the container
    web_port: int = Field(6066, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    cache_dir: Path = Path("~/.cache/streamproc")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then ``streamproc.toml``."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator(
        "bundle",
        "calibration",
        "cache_dir",
        "kafka_ssl_cafile",
        "shadow_bundle",
        "triton_ca_file",
        mode="before",
    )
    @classmethod
    def _named(cls, value: object) -> object:
        """An empty path would be the current directory, which nobody means."""
        if value == "":
            raise ValueError("it is empty; leave it out or name a path")
        return value

    @field_validator("kafka_bootstrap")
    @classmethod
    def _bootstraps(cls, value: str) -> str:
        for address in value.split(","):
            _require_address(address.strip())
        return value

    @field_validator("triton_url")
    @classmethod
    def _served(cls, value: str) -> str:
        _require_address(value)
        return value

    @field_validator("milvus_uri")
    @classmethod
    def _located(cls, value: str) -> str:
        """A path, or a scheme with a host behind it."""
        if "://" in value and not urlsplit(value).hostname:
            raise ValueError("it names no host; give http://host:19530, or the path of a .db")
        return value

    @property
    def milvus_is_local(self) -> bool:
        """Whether the graph is a Milvus Lite file, which only one process may open."""
        return "://" not in self.milvus_uri

    @property
    def max_output_bytes(self) -> int:
        """The record size that every output topic and the producer allow: the input limit plus 64 KiB."""
        return self.max_note_bytes + 64 * KIB


def _require_address(address: str) -> None:
    """An address is host:port; a client would wait for ever for anything else."""
    host, _, port = address.rpartition(":")
    if set("/, ") & set(address) or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is not host:port")


def load_settings(**overrides: object) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a value cannot be used, or a name is no setting's; the sentence names it.
    """
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]
        _require_known_names()
        if "min_confidence" not in overrides:
            _require_room_for_review(settings)
    except ValidationError as error:
        first = error.errors()[0]
        name, *inside = map(str, first["loc"])
        within = f" ({'.'.join(inside)})" if inside else ""
        reason = first["msg"].removeprefix("Value error, ")
        raise SettingsError(
            f"{PREFIX}{name.upper()}{within} = {first['input']!r} cannot be used: {reason[:1].lower()}{reason[1:]}. "
            "Set it in the environment or in streamproc.toml."
        ) from None
    except UnreadableSettingError as error:
        # Raised for a field whose value is JSON; its message names the field and not what is wrong with it.
        field = re.search(r'field "(\w+)"', str(error))
        name = PREFIX + (field[1].upper() if field else "…")
        raise SettingsError(
            f"{name} = {os.environ.get(name, '')!r} cannot be used: it is not JSON. "
            "Set it in the environment or in streamproc.toml."
        ) from None
    except ValueError as error:
        raise SettingsError(
            f"streamproc.toml cannot be read: {error}. Correct the file or remove it."
        ) from None
    return settings


def _require_room_for_review(settings: Settings) -> None:
    """Refuse a review band that is empty: it goes from its threshold up to the one from which tags are emitted.

    Raises:
        SettingsError: it is.
    """
    rules = [("", settings.min_confidence, settings.review_confidence)]
    for kind, rule in settings.kinds.items():
        emitted = settings.min_confidence if rule.min_confidence is None else rule.min_confidence
        rules.append((f" for {kind}", emitted, rule.review_confidence))
    for whose, emitted, review in rules:
        if review is not None and review > emitted:
            raise SettingsError(
                f"review_confidence{whose} is {review:g} and min_confidence {emitted:g}: people review what lies between, so the "
                "former must not be above the latter. Correct STREAMPROC_REVIEW_CONFIDENCE, STREAMPROC_MIN_CONFIDENCE or "
                "STREAMPROC_KINDS."
            )


def _require_known_names() -> None:
    """Refuse what is set to no effect: any unknown name in the file, a misspelt one in the environment.

    Other unknown variables are left alone: Kubernetes sets ``STREAMPROC_SERVICE_HOST`` and the like for a service
    that is called streamproc.

    Raises:
        SettingsError: there is one.
    """
    file = Path(str(Settings.model_config.get("toml_file")))
    written = tomllib.loads(file.read_text()) if file.is_file() else {}
    for name in written:
        if name not in Settings.model_fields:
            raise SettingsError(
                f"{file} sets {name}, which is no setting{_meant(name)}. Correct the name or remove it."
            )
    for variable in os.environ:
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and name not in Settings.model_fields and (meant := _meant(name)):
            raise SettingsError(f"{variable} is no setting{meant}. Correct the name or unset it.")


def _meant(name: str) -> str:
    """What to add about a name that nearly is a setting's; empty where none is close."""
    close = difflib.get_close_matches(name, Settings.model_fields, n=1, cutoff=_MISSPELT)
    return f"; {PREFIX}{close[0].upper()} is" if close else ""
