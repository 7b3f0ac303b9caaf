"""WHERE it runs: one folder per place. Imports nothing of ours from above."""
