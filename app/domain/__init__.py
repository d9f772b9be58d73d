"""The rules of a learner's account: standard library only, no I/O, no clock."""
