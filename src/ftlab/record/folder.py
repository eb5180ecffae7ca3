"""The files of a run's folder that others than their writer read; record.json is `FILE_NAME` of the record."""

CONFIG = "config.yaml"  # a sweep writes it for every job before the first one starts
PREDICTIONS = "predictions.parquet"
CURVES = "metrics.csv"
