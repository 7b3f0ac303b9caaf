"""What the stand-ins for clouds share. A rehearsal talks to one on loopback, by the real SDK.

server.py     HTTP on loopback, with a log of every call, its secrets taken out
faults.py     what goes wrong in a scenario: answers that fail, or are lost
scenario.py   scenarios are tables in a file beside the stand-in
openapi.py    holds what is sent against an API's published description
executor.py   runs a plan for real, by the engine of the local provider

A stand-in is ``infra/NAME/emulator``: ``rehearse`` gives settings that reach it while a block runs.
It keeps what it knows in a folder of the rehearsal's workspace, so that a later command finds the
runs of an earlier one.
"""
