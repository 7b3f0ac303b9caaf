"""A kind cluster with Kubeflow Pipelines."""
