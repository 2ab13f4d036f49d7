"""Who lives and who leads: pure judgement over what the store says. The verbs themselves are the store's.

Called by `actors`; imports `storage` and `taskqueue.core`.
"""
