"""The rules of the queue, and nothing else: pure values and functions.

No I/O, no threads, no clock read here but through `clock.py`. Every other folder may import this one; it imports none.
"""
