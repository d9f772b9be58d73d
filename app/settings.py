"""The configuration: the only reader of the environment (prefix ROLLCALL_)."""

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.platform.database_urls import driver_url


class Settings(BaseSettings):
    """Every variable, with its default and its unit; docs/operating.md has them as a table."""

    model_config = SettingsConfigDict(env_prefix="ROLLCALL_", extra="ignore")

    database_url: Annotated[str, Field(description="`sqlite:///path` or `postgresql://user@host/name`.")] = (
        "sqlite:///var/rollcall.db"
    )
    database_pool_size: Annotated[
        int, Field(ge=8, le=200, description="Database connections at the most, per process.")
    ] = 10
    max_body_bytes: Annotated[
        int, Field(ge=1024, description="The largest JSON body, in bytes; 10,000 long usernames fit.")
    ] = 4 * 1024 * 1024
    max_import_bytes: Annotated[int, Field(ge=1024, description="The largest CSV upload, in bytes.")] = (
        512 * 1024 * 1024
    )
    max_requests_in_flight: Annotated[
        int, Field(ge=1, description="Requests handled at once, per process; beyond that 503 `overloaded`.")
    ] = 512
    rate_limit_per_minute: Annotated[
        int, Field(ge=0, description="Requests a minute for one credential, per process; 0 = no limit.")
    ] = 6000
    outcomes_days: Annotated[
        int,
        Field(
            ge=1,
            description="How long outcomes, rows as they were sent, and webhooks' deliveries are kept, in days.",
        ),
    ] = 30
    with_worker: Annotated[
        bool, Field(description="Whether `serve` does a worker's work too; with SQLite it always does.")
    ] = False
    webhooks_to_private_networks: Annotated[
        bool,
        Field(description="Whether webhooks may have addresses in private networks, and http without TLS."),
    ] = False
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Field(description="`json` lines, `console` text, or `auto`: text on a terminal only."),
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The least level that is logged.")
    ] = "info"
    shutdown_seconds: Annotated[
        int,
        Field(ge=0, description="How long accepted requests may take to finish after SIGTERM, in seconds."),
    ] = 30

    @property
    def runs_operations(self) -> bool:
        """Whether a process that serves runs large operations as well."""
        return self.with_worker or self.database_url.startswith("sqlite")

    @field_validator("database_url")
    @classmethod
    def _is_supported(cls, value: str) -> str:
        driver_url(value)
        return value
