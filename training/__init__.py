"""The SCIENCE: models, data, the loop, metrics. Imports nothing of ours from above."""
