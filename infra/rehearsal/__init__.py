"""What the stand-ins for clouds share. A rehearsal talks to them on loopback, by the real SDK.

ground.py     the next three at once, guarded
  authority.py    a throw-away certificate authority
  proxy.py        leads each host of a cloud to its stand-in, and refuses all others
  environment.py  the variables that lead an SDK there, around the rehearsal alone
guard.py      sees that nothing of a rehearsal that was killed goes on
  sweep.py        the program that ends what has its mark
server.py     HTTP on loopback: answers by a function, faults put in between
log.py        the log of every call, its secrets taken out; it can be read and played again
faults.py     what goes wrong in a scenario: answers that fail, are late, or are lost
scenario.py   scenarios are tables in a file beside the stand-in, or a person's own file
clock.py      the time that a cloud takes for itself, made short
openapi.py    holds what is sent against an API's published description
executor.py   runs a plan for real, by the engine of the local provider
stages.py     where the steps of a run stand, of what the engine tells
machine.py    a container, as a process or in Docker
served.py     a server of an endpoint, on such a machine
store.py      what a stand-in knows, on disk
held.py       one rehearsal at a time in a folder, and a way to ask it from elsewhere
bill.py       what it would have cost

A stand-in is ``infra/NAME/emulator``: ``rehearse`` gives settings that reach it while a block runs.
It keeps what it knows in a folder of the rehearsal's workspace, so that a later command finds the
runs of an earlier one.
"""
