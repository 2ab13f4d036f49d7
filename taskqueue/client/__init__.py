"""Submitting tasks and asking what became of them: over REST, or straight to a cluster's Redis.

Loaded when the first of it is used; see docs/client.md. Imports no other room: the store's door is found among the
entry points.
"""

from __future__ import annotations

from taskqueue.client.ambient import connect
from taskqueue.client.bodies import Body
from taskqueue.client.client import Client
from taskqueue.client.refs import TaskRef, get, get_async, wait, wait_async

__all__ = ["Body", "Client", "TaskRef", "connect", "get", "get_async", "wait", "wait_async"]
