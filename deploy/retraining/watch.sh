#!/bin/sh
# Looks at the last week for drift and leaves gauges for the textfile collector of Prometheus' node exporter, in the
# folder given. Exits with 1 when something has moved far. Expects RISKD_DATA_DIR and RISKD_MODELS_DIR.
set -eu
riskd drift --log "${RISKD_DATA_DIR:?where the service keeps its state}/log" --fail-over 0.25 \
  --metrics "${1:?the folder of the textfile collector}/riskd_drift.prom"
