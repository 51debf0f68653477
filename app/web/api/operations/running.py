"""Running the service: whether it is there, and its figures."""

from app.web.api.operations.parts import Operation


def running_operations() -> tuple[Operation, ...]:
    """Give the calls of whoever runs it."""
    text = {"type": "string"}
    return (
        Operation(
            "get",
            "/healthz",
            "healthz",
            "Say that the process is alive",
            "And nothing of what it needs.",
            None,
            text,
            "ok\n",
            kind="text/plain",
            tag="running",
        ),
        Operation(
            "get",
            "/readyz",
            "readyz",
            "Say that the process may be sent work",
            "The database answers, its schema is the newest, Redis answers where one is configured,"
            " and the clocks of machine and database are within 30 seconds. Otherwise the problem"
            " names in `failing` what is not so.",
            None,
            {"type": "object", "properties": {"ready": {"const": True}}, "required": ["ready"]},
            {"ready": True},
            ("not-ready", "internal-server-error"),
            tag="running",
        ),
        Operation(
            "get",
            "/metrics",
            "metrics",
            "Figures for Prometheus",
            "With RECONFIRM_METRICS_TOKEN as bearer where it is set, and from this machine only"
            " where it is not. Calls are counted by process. No label names a person.",
            "metrics",
            text,
            'reconfirm_stage{product="tv",stage="asked"} 12.0\n',
            ("unauthorized", "forbidden", "internal-server-error"),
            kind="text/plain",
            tag="running",
        ),
    )
