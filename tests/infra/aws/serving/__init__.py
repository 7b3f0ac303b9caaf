"""Endpoints on SageMaker."""
