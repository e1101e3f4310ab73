"""The server of a model, which knows neither MLflow nor TensorFlow.

From the bottom up: `listener` (the port, on this machine only), `body` (images out of a request),
`app` (what is answered, and its limits).
"""
