"""What the sensor says about itself: logs, metrics, health, crashes. The only code that knows
prometheus_client and sentry_sdk.

``logs``        lines on standard error, text or JSON
``metrics``     names and readers of plain numbers; costs nothing until somebody asks
``health``      which stages work: readiness, and a sign of life
``server``      the address of /metrics, /healthz, /readyz
``endpoint``    their HTTP
``exposition``  the metrics in Prometheus' format
``crashes``     defects of ours to Sentry, where asked for
"""
