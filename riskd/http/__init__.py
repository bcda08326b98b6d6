"""Speaks HTTP and nothing else: who may call, what a body may be, and how a decision travels.

    Protocol ─▶ Front ─▶ engine          the hot road: /decide, /decide/batch, /outcome
                  └────▶ api (FastAPI)   the rest: /healthz, /readyz, /metrics, /openapi.json, /docs

`serve` is the parent process (listening socket, workers, restarts), `worker` one serving process.
"""
