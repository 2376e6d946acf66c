"""The rules of a door: `lock` and `passage` are the two tables, `door` joins them.

Two tables because they are two things: the lock is commanded, the leaf is sensed. `door` says in
which order one input meets both, and turns their acts and tells into effects.
"""
