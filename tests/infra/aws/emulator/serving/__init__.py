"""Endpoints of the stand-in for AWS, asked by boto3 alone."""
