"""AWS on loopback, for rehearsals.

moto/         S3, STS, IAM, ECR and CloudWatch Logs
refusal.py    how AWS refuses             names.py   what a call is called
"""
