"""Vertex AI on loopback."""
