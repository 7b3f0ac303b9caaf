"""The stand-in for Azure ML."""
