"""The configuration. Only this module reads the environment (prefix ROLLCALL_)."""

from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.platform.database_urls import driver_url
from app.platform.fields import Between


class Settings(BaseSettings):
    """Every variable, with its default and unit. docs/operating.md has the same table."""

    model_config = SettingsConfigDict(env_prefix="ROLLCALL_", extra="ignore")

    database_url: Annotated[str, Field(description="`sqlite:///path` or `postgresql://user@host/name`.")] = (
        "sqlite:///var/rollcall.db"
    )
    database_pool_size: Annotated[
        int, Between(8, 200), Field(description="The most database connections per process.")
    ] = 10
    max_body_bytes: Annotated[
        int,
        Field(
            ge=1024, description="The largest JSON body, in bytes. The default holds 10,000 long usernames."
        ),
    ] = 4 * 1024 * 1024
    max_import_bytes: Annotated[int, Field(ge=1024, description="The largest CSV file, in bytes.")] = (
        512 * 1024 * 1024
    )
    max_requests_in_flight: Annotated[
        int, Field(ge=1, description="Requests at once per process. More get 503 `overloaded`.")
    ] = 512
    rate_limit_per_minute: Annotated[
        int, Field(ge=0, description="Requests per minute for one API key, per process. 0 = no limit.")
    ] = 6000
    outcomes_days: Annotated[
        int,
        Field(
            ge=1,
            description="How many days outcomes, imported rows and webhook deliveries are kept.",
        ),
    ] = 30
    with_worker: Annotated[
        bool, Field(description="Also do a worker's work in `serve`. With SQLite it always does.")
    ] = False
    webhooks_to_private_networks: Annotated[
        bool,
        Field(description="Allow webhooks to private addresses, and http without TLS."),
    ] = False
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Field(description="`json`, `console` (text), or `auto`: text on a terminal, otherwise JSON."),
    ] = "auto"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="The lowest level that is logged.")
    ] = "info"
    shutdown_seconds: Annotated[
        int,
        Field(ge=0, description="How many seconds accepted requests may take to finish after SIGTERM."),
    ] = 30

    @property
    def runs_operations(self) -> bool:
        """Whether a server process also runs large operations."""
        return self.with_worker or self.database_url.startswith("sqlite")

    @field_validator("database_url")
    @classmethod
    def _is_supported(cls, value: str) -> str:
        driver_url(value)
        return value
