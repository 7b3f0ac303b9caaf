"""Endpoints on Azure ML."""
