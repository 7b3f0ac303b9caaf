"""Small pipelines that tests run and read."""
