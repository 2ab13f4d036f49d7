"""From what a client sends to a `Draft`: shapes, limits, defaults. The same rules for REST and for direct clients."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any
from zlib import crc32

from msgspec import UNSET, Raw, Struct, UnsetType, structs

from taskqueue.core import fields
from taskqueue.core.config import Config
from taskqueue.core.errors import InvalidInput, Malformed, TooLarge
from taskqueue.core.names import read_key, read_name, read_task_id
from taskqueue.core.strictjson import NESTING, canonical, decode, decoder
from taskqueue.core.task import PRIORITIES, Draft
from taskqueue.core.times import parse_span
from taskqueue.core.views import Declaration

DEFAULT_HANDLER = "echo"
DEFAULT_QUEUE = "default"
KEY_HEADER = "Idempotency-Key"

ALIKE = 256
"""Bytes: parameters up to this length are kept for a while, since the next task's are likely to be the same."""


class Parameters(Struct, frozen=True, kw_only=True):
    """What a client said of one task; None: not said. Times and spans in microseconds."""

    priority: int | None = None
    timeout: int | None = None
    queue: str | None = None
    retries: int | None = None
    delay: int | None = None
    run_at: int | None = None
    expires_at: int | None = None
    tags: tuple[str, ...] = ()
    idempotency_key: str | None = None
    keep_result: bool | None = None


_NOTHING = Parameters()


class Submission(Struct, frozen=True, kw_only=True):
    """One task as a client sent it, checked. `payload` is its JSON text; `digest` tells equal bodies from others."""

    handler: str
    payload: bytes
    parameters: Parameters
    digest: bytes
    id: str | None = None
    schedule: str | None = None


class _Body(Struct, forbid_unknown_fields=True):
    """The outer shape; what is inside is read field by field."""

    handler: Any = DEFAULT_HANDLER
    payload: Raw | UnsetType = UNSET
    parameters: Raw | UnsetType = UNSET
    id: Any = UNSET


_BODY = decoder(_Body)
_PARAMETERS: dict[str, tuple[str, fields.Reader]] = {
    "priority": ("priority", fields.read_priority),
    "timeout": ("timeout", fields.read_timeout),
    "queue": ("queue", read_name),
    "retries": ("retries", fields.read_retries),
    "delay": ("delay", parse_span),
    "runAt": ("run_at", fields.read_time),
    "expiresAt": ("expires_at", fields.read_time),
    "tags": ("tags", fields.read_tags),
    "idempotencyKey": ("idempotency_key", read_key),
    "keepResult": ("keep_result", fields.read_bool),
}


def parse_submission(body: bytes | Raw, *, max_payload: int, header_key: str | None = None) -> Submission:
    """Check one task as it came in. `header_key` is the value of the Idempotency-Key header.

    Raises:
        Malformed: it is no JSON, or its payload nests deeper than 32 levels.
        InvalidInput: it has another shape; all that is wrong is told, by path.
        TooLarge: the payload is longer than `max_payload` bytes.
    """
    outer: _Body = decode(bytes(body), _BODY, levels=NESTING + 1)
    problems: fields.Problems = []
    handler, task_id = outer.handler, None
    try:
        read_name(handler)
    except ValueError as error:
        problems.append(("$.handler", str(error)))
    try:
        task_id = None if outer.id is UNSET else read_task_id(outer.id)
    except ValueError as error:
        problems.append(("$.id", str(error)))
    value, payload = None, b""
    if outer.payload is UNSET:
        problems.append(("$.payload", "required"))
    else:
        payload = bytes(outer.payload)
        if len(payload) > max_payload:
            raise TooLarge(f"the payload has {len(payload):,} bytes; at most {max_payload:,} are taken")
        try:
            value = _decoded(payload, "$.payload")
        except Malformed:
            raise
        except InvalidInput as error:
            problems.extend(error.errors)
    parameters, compared = _NOTHING, b"{}"
    if outer.parameters is not UNSET:
        text = bytes(outer.parameters)
        read = _parameters if len(text) <= ALIKE and b"idempotencyKey" not in text else _parameters.__wrapped__
        try:
            parameters, compared = read(text)
        except Malformed:
            raise
        except InvalidInput as error:
            problems.extend(error.errors)
    if header_key is not None:
        parameters = _keyed(parameters, header_key, problems)
    if problems:
        raise InvalidInput(problems)
    digest = blake2b(b"[%b,%b,%b]" % (canonical(handler), canonical(value), compared), digest_size=16).digest()
    return Submission(handler=handler, payload=payload, parameters=parameters, digest=digest, id=task_id)


@lru_cache(1_000)
def _parameters(text: bytes) -> tuple[Parameters, bytes]:
    """The parameters of their JSON, and what is compared of them: many tasks have the same.

    Raises:
        Malformed, InvalidInput: as `parse_submission`.
    """
    sent = _decoded(text, "$.parameters")
    values = fields.read_object(sent, _PARAMETERS, "$.parameters.")
    if "delay" in values and "run_at" in values:
        raise InvalidInput([("$.parameters.delay", "give either delay or runAt")])
    # The key says that two bodies should be the same; it is not part of what is compared. `id` neither.
    sent.pop("idempotencyKey", None)
    return Parameters(**values), canonical(sent)


def _decoded(text: bytes, root: str) -> Any:
    """The value of a part of a body. Raises as `decode`, with paths from `root` on."""
    try:
        return decode(text)
    except Malformed:
        raise
    except InvalidInput as error:
        raise InvalidInput([(root + path[1:], message) for path, message in error.errors]) from None


def _keyed(parameters: Parameters, header_key: str, problems: fields.Problems) -> Parameters:
    """The parameters with the key that a header gives; what is wrong with it is added to `problems`."""
    try:
        key = read_key(header_key)
    except ValueError as error:
        problems.append((KEY_HEADER, str(error)))
        return parameters
    if parameters.idempotency_key not in (None, key):
        problems.append(("$.parameters.idempotencyKey", f"differs from the {KEY_HEADER} header"))
    return structs.replace(parameters, idempotency_key=key)


_UNDECLARED = Declaration(name="")
_NORMAL = PRIORITIES["normal"]


def fill(submission: Submission, id: str, declaration: Declaration | None, config: Config) -> Draft:
    """The draft of a submission: what the task does not say, its handler's declaration says, else the configuration."""
    said, declared = submission.parameters, declaration or _UNDECLARED
    priority, timeout, retries, keep = said.priority, said.timeout, said.retries, said.keep_result
    if priority is None:
        priority = _NORMAL if declared.priority is None else declared.priority
    if timeout is None:
        timeout = config.task_timeout if declared.timeout is None else declared.timeout
    if retries is None:
        retries = config.retry_count if declared.retries is None else declared.retries
    if keep is None:
        keep = True if declared.keep_result is None else declared.keep_result
    return Draft(
        id=id,
        handler=submission.handler,
        queue=said.queue or declared.queue or DEFAULT_QUEUE,
        payload=submission.payload,
        checksum=crc32(submission.payload),
        digest=submission.digest,
        priority=priority,
        timeout=timeout,
        retries=retries,
        keep_result=keep,
        tags=said.tags,
        delay=said.delay or 0,
        run_at=said.run_at,
        expires_at=said.expires_at,
        key=said.idempotency_key,
        schedule=submission.schedule,
    )
