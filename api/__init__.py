"""REST: resources of Falcon on waitress. Knows `taskqueue.core` and its own `Gateway` protocol, nobody else."""
