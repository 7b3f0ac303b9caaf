"""Endpoints of the stand-in for Azure ML, asked by azure-ai-ml alone."""
