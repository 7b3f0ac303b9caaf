"""WHAT runs, and the person's verbs. Imports infra."""
