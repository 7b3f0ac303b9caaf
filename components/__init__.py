"""HOW one step behaves in a container: files in, files out. Imports training."""
