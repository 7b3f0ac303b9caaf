"""What must exist in each cloud, held by the real terraform."""
