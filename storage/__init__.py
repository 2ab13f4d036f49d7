"""Where tasks live: the `Store` protocol and its backends (memory, SQLite; others by entry point).

Called by `cluster` and `actors`; imports only `taskqueue.core`. No backend type leaves this folder.
"""
