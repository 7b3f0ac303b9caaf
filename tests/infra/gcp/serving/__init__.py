"""Endpoints on Vertex AI."""
