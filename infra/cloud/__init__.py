"""What clouds share: a provider of one is left with the files that say what is its own.

store.py       the objects of a bucket or a container, which each cloud keeps in its own way
records.py     what is kept there of a run        looking.py     where a run stands
following.py   watches a run to its end           telling.py     what the verbs tell of a look
stepfile.py    what launcher.py, which runs a step in its container, is told of it
outputs.py     what steps left, brought here
handlers.py    exit handlers that are due, and what they are told
reaping.py     ends and removes what a run left
overrides.py   a person's own fields, laid over a request
problems.py    what is wrong with a request, and where

Nothing here imports an SDK.
"""
