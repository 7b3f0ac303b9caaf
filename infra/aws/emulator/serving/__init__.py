"""Endpoints: models, the configurations that name them, and the servers that answer.

resource.py        what models, configurations and endpoints have in common
models.py          models                       configurations.py  endpoint configurations
endpoints.py       endpoints, and their states  variants.py        what an endpoint consists of
change.py          takes one endpoint from one state to the next
fleet.py           the servers of an endpoint   server.py          one of them, started for real
scaling.py         their autoscaling, asked for and told
runtime.py         what is asked of an endpoint, at once (later.py: or when there is time)
"""
