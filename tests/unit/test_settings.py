"""Where settings come from, which one wins, and what a wrong one is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from taskqueue.core.clock import DAY, HOUR, MILLISECOND, MINUTE, SECOND
from taskqueue.core.config import Backoff, Config, Retain
from taskqueue.core.errors import ConfigError
from taskqueue.core.options import OPTIONS
from taskqueue.core.settings import Loaded, load, render, variable

# The keys of the configuration, as the documentation lists them.
KEYS = [
    "queueSize", "logLevel", "logFormat", "retryCount", "workerCount", "apiPort", "dataDir", "clusterEnabled",
    "redisAddress", "redisPassword", "cleanRedisOnStart", "apiHost", "apiThreads", "apiTokens",
    "allowUnauthenticated", "handlers", "appDir", "queues", "asyncConcurrency", "storage", "namespace", "nodeId",
    "leaseTtl", "heartbeatInterval", "leaderTtl", "pollInterval", "taskTimeout", "backoff", "maxCrashes",
    "shutdownGrace", "retention", "misfireGrace", "maxPayloadBytes", "maxResultBytes", "maxBatchBytes",
    "priorityAging", "redisWaitReplicas", "requireDurability", "allowEviction", "maxTasksPerChild",
    "maxChildMemory", "allowedHosts", "redisCaFile", "redisCertFile", "redisKeyFile",
]


def no_file(path: str) -> bytes:
    raise FileNotFoundError(2, "No such file or directory", path)


def file_of(content: object, name: str = "config.json") -> Callable[[str], bytes]:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()

    def read(path: str) -> bytes:
        return raw if path == name else no_file(path)

    return read


def config_of(*argv: str, environ: dict[str, str] | None = None, file: object = None) -> Config:
    return load(argv, environ or {}, no_file if file is None else file_of(file)).config


def refusal(*argv: str, environ: dict[str, str] | None = None, file: object = None) -> str:
    with pytest.raises(ConfigError) as caught:
        config_of(*argv, environ=environ, file=file)
    message = str(caught.value)
    assert message.isprintable(), "one line"
    return message


def test_without_anything_all_is_default() -> None:
    assert load([], {}, no_file) == Loaded(Config())


def test_every_documented_key_is_known_and_no_other() -> None:
    assert sorted(OPTIONS) == sorted(KEYS)


def test_every_attribute_of_the_configuration_has_a_key_that_sets_it() -> None:
    held = {option.field for option in OPTIONS.values()} - {None}
    assert set(Config.__struct_fields__) - held == set()


def test_flags_beat_environment_beats_file_beats_default() -> None:
    environ = {"TASKQUEUE_API_PORT": "2", "TASKQUEUE_WORKER_COUNT": "2"}
    file = {"apiPort": 3, "workerCount": 3, "queueSize": 3}
    config = config_of("--port", "1", environ=environ, file=file)
    assert (config.api_port, config.worker_count, config.queue_size, config.retry_count) == (1, 2, 3, 3)
    assert Config().queue_size != 3


@pytest.mark.parametrize(
    "argv", [["--config", "x.json"], ["-c", "x.json"], ["-config", "x.json"], ["-config=x.json"], ["--config=x.json"]]
)
def test_a_file_may_be_named_in_all_the_usual_ways(argv: list[str]) -> None:
    assert load(argv, {}, file_of({"apiPort": 7}, "x.json")).config.api_port == 7


def test_all_flags() -> None:
    config = config_of(
        *("--host", "::1", "--handlers", "a.b", "--handlers", "c", "--app-dir", "app", "--node-id", "n1"),
        *("--data-dir", "d", "--workers", "9", "--log-level", "debug", "--log-format", "json"),
    )
    assert config == Config(
        api_host="::1",
        handlers=("a.b", "c"),
        app_dir="app",
        node_id="n1",
        data_dir="d",
        worker_count=9,
        log_level="debug",
        log_format="json",
    )


def test_environment_of_every_kind_of_value() -> None:
    config = config_of(
        environ={
            "TASKQUEUE_HANDLERS": "a.b, c",
            "TASKQUEUE_QUEUES": '["mail", "slow"]',
            "TASKQUEUE_APP_DIR": "",
            "TASKQUEUE_LEASE_TTL": "1m",
            "TASKQUEUE_TASK_TIMEOUT": "1.5",
            "TASKQUEUE_BACKOFF": '{"factor": 3}',
            "TASKQUEUE_CLUSTER_ENABLED": "false",
            "TASKQUEUE_MAX_PAYLOAD_BYTES": "1000",
            "TASKQUEUE_URL": "http://elsewhere",
            "TASKQUEUE_NO_SUCH_THING": "ignored",
            "API_PORT": "9",
        }
    )
    assert config == Config(
        handlers=("a.b", "c"),
        queues=("mail", "slow"),
        lease_ttl=MINUTE,
        task_timeout=1500 * MILLISECOND,
        backoff=Backoff(factor=3.0),
        max_payload_bytes=1000,
    )


def test_variables_are_keys_in_upper_snake_case() -> None:
    assert variable("cleanRedisOnStart") == "TASKQUEUE_CLEAN_REDIS_ON_START"
    assert variable("backoff") == "TASKQUEUE_BACKOFF"


def test_parts_merge_with_the_defaults() -> None:
    retention = {"deadLettered": {"max": 5}, "completed": {"age": 60}}
    config = config_of(file={"backoff": {"base": "2s"}, "retention": retention})
    assert config.backoff == Backoff(base=2 * SECOND)
    assert config.retention.dead_lettered == Retain(age=30 * DAY, max=5)
    assert config.retention.completed == Retain(age=MINUTE)
    assert config.retention.cancelled == Retain(age=24 * HOUR)


def test_print_config_gives_a_file_that_gives_the_same() -> None:
    loaded = load(["--print-config", "--workers", "7"], {}, no_file)
    assert loaded.print_config
    printed = render(loaded.config)
    assert sorted(json.loads(printed)) == sorted(KEYS)
    assert load([], {}, file_of(printed.encode())).config == loaded.config


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"workerCount": "five"}, 'config.json: workerCount: expected an integer from 1 to 1024, got "five"'),
        ({"workerCount": 0}, "config.json: workerCount: expected an integer from 1 to 1024, got 0"),
        ({"workerCount": 1025}, "config.json: workerCount: expected an integer from 1 to 1024, got 1025"),
        ({"workerCount": True}, "config.json: workerCount: expected an integer from 1 to 1024, got true"),
        ({"workerCount": 5.0}, "config.json: workerCount: expected an integer from 1 to 1024, got 5.0"),
        ({"workerCount": None}, "config.json: workerCount: expected an integer from 1 to 1024, got null"),
        ({"workerCount": [1]}, "config.json: workerCount: expected an integer from 1 to 1024, got a list"),
        ({"workerCount": {}}, "config.json: workerCount: expected an integer from 1 to 1024, got an object"),
        ({"apiPort": 65536}, "config.json: apiPort: expected an integer from 0 to 65535, got 65536"),
        ({"apiThreads": 1}, "config.json: apiThreads: expected an integer from 2 to 1024, got 1"),
        ({"asyncConcurrency": 10001}, "config.json: asyncConcurrency: expected an integer from 1 to 10000, got 10001"),
        ({"logLevel": "loud"}, 'config.json: logLevel: expected debug, info, warning or error, got "loud"'),
        ({"logLevel": "x" * 99}, f'config.json: logLevel: expected debug, info, warning or error, got "{"x" * 56}…'),
        ({"logLevel": "in\nfo"}, 'config.json: logLevel: expected debug, info, warning or error, got "in\\nfo"'),
        ({"queues": []}, "config.json: queues: expected a list of at least one queue, got an empty one"),
        ({"queues": "x"}, 'config.json: queues: expected a list of at least one queue, got "x"'),
        ({"handlers": ["a", "b-"]}, 'config.json: handlers[1]: expected a module such as "myapp.tasks", got "b-"'),
        ({"dataDir": ""}, 'config.json: dataDir: expected a path, got ""'),
        ({"dataDir": "a\0b"}, 'config.json: dataDir: expected a path, got "a\\u0000b"'),
        ({"taskTimeout": 0}, "config.json: taskTimeout: expected a duration of at least 1ms, got 0"),
        ({"backoff": {"factor": 0.5}}, "config.json: backoff.factor: expected a number from 1 to 1000, got 0.5"),
        ({"backoff": {"jitter": True}}, "config.json: backoff.jitter: expected a number from 0 to 1, got true"),
        ({"backoff": {"base": "1h"}}, "config.json: backoff: base (1h) is more than max (10m)"),
        ({"backoff": []}, "config.json: backoff: expected an object of base, factor, max, jitter, got a list"),
        ({"backoff": {"Base": 1}}, "config.json: backoff.Base: unknown key; did you mean base?"),
        ({"retention": {"dead": {}}}, "config.json: retention.dead: unknown key; did you mean deadLettered?"),
        (
            {"retention": {"completed": {"max": -1}}},
            "config.json: retention.completed.max: expected an integer from 0 to 1000000000, got -1",
        ),
        ({"workercount": 1}, "config.json: workercount: unknown key; did you mean workerCount?"),
        ({"port": 1}, "config.json: port: unknown key; did you mean apiPort?"),
        ({"clusterEnabled": "yes"}, 'config.json: clusterEnabled: expected true or false, got "yes"'),
        ({"clusterEnabled": 0}, "config.json: clusterEnabled: expected true or false, got 0"),
        (b'{"apiPort": 1, "apiPort": 2}', "config.json: apiPort: given twice"),
        (b'{"backoff": {"max": 1, "max": 2}}', "config.json: max: given twice"),
        (b"[1]", "config.json: expected a JSON object"),
        (b'{"apiPort": NaN}', "config.json: not valid JSON: NaN is not a JSON value"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_in_one_line(file: object, message: str) -> None:
    assert refusal(file=file) == message


def test_what_is_overridden_has_to_be_right_all_the_same() -> None:
    wrong = "workerCount: expected an integer from 1 to 1024"
    assert refusal("--workers", "4", file={"workerCount": "x"}).startswith(f"config.json: {wrong}")
    said = refusal("--workers", "4", environ={"TASKQUEUE_WORKER_COUNT": "x"})
    assert said.startswith(f"environment TASKQUEUE_WORKER_COUNT: {wrong}")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b'{"apiPort": 1,}', b"\xff\xfe", b"[" * 100_000, b'{"apiPort": ' + b"9" * 9999 + b"}"]
)
def test_what_is_no_json_is_said_to_be_none(raw: bytes) -> None:
    assert refusal(file=raw).startswith("config.json: not valid JSON: ")


def test_a_byte_order_mark_does_no_harm() -> None:
    assert config_of(file=b'\xef\xbb\xbf{"apiPort": 5}').api_port == 5


@pytest.mark.parametrize(
    ("value", "allowed"),
    [("soon", "expected a duration such as"), (-1, "0 and 3650 days"), ("3651d", "0 and 3650 days")],
)
def test_durations_are_checked(value: object, allowed: str) -> None:
    message = refusal(file={"pollInterval": value})
    assert message.startswith("config.json: pollInterval: ")
    assert allowed in message
    assert message.endswith(f"got {json.dumps(value)}")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--port", "x"], 'flag --port: apiPort: expected an integer from 0 to 65535, got "x"'),
        (["--port", "-1"], "flag --port: apiPort: expected an integer from 0 to 65535, got -1"),
        (["--port", "٣"], 'flag --port: apiPort: expected an integer from 0 to 65535, got "٣"'),
        (["--port"], "flags: argument --port: expected one argument"),
        (["--frob"], "flags: unrecognized arguments: --frob"),
        (["--por", "1"], "flags: unrecognized arguments: --por 1"),
        (["extra\nline"], "flags: unrecognized arguments: extra\\nline"),
        (["--config", "nowhere.json"], "nowhere.json: no such file"),
    ],
)
def test_wrong_flags(argv: list[str], message: str) -> None:
    assert refusal(*argv) == message


def test_the_environment_is_named_where_it_is_wrong() -> None:
    message = refusal(environ={"TASKQUEUE_WORKER_COUNT": "five"})
    assert message == 'environment TASKQUEUE_WORKER_COUNT: workerCount: expected an integer from 1 to 1024, got "five"'


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (IsADirectoryError(21, "Is a directory"), "config.json: cannot be read: Is a directory"),
        (PermissionError(13, "Permission denied"), "config.json: cannot be read: Permission denied"),
        (ValueError("embedded null byte"), "config.json: cannot be read: embedded null byte"),
    ],
)
def test_a_file_that_is_there_but_cannot_be_read_is_an_error(error: Exception, said: str) -> None:
    def read(path: str) -> bytes:
        raise error

    with pytest.raises(ConfigError, match=re.escape(said)):
        load([], {}, read)


UNBUILT: dict[str, Any] = {
    "maxTasksPerChild": 100,
    "maxChildMemory": 1_000_000,
}


def test_the_list_of_what_is_not_built_is_complete() -> None:
    assert sorted(UNBUILT) == sorted(key for key, option in OPTIONS.items() if option.field is None)


@pytest.mark.parametrize("key", UNBUILT)
def test_what_is_not_built_is_refused_by_name_and_its_value_is_not_repeated(key: str) -> None:
    assert refusal(file={key: UNBUILT[key]}) == f"config.json: {key}: not available in this version"
    value = UNBUILT[key]
    text = value if isinstance(value, str) else json.dumps(value)
    said = f"environment {variable(key)}: {key}: not available in this version"
    assert refusal(environ={variable(key): text}) == said


@pytest.mark.parametrize("key", UNBUILT)
def test_what_is_not_built_is_accepted_at_its_default(key: str) -> None:
    option = OPTIONS[key]
    assert config_of(file={key: option.kind.show(option.default)}) == Config()


REDIS: dict[str, tuple[str, Any]] = {
    "storage": ("storage", "redis"),
    "redisAddress": ("redis_address", "sentinel://a:1,b/main"),
    "redisPassword": ("redis_password", "hunter2"),
    "redisCaFile": ("redis_ca_file", "ca.pem"),
    "redisCertFile": ("redis_cert_file", "cert.pem"),
    "redisKeyFile": ("redis_key_file", "key.pem"),
    "redisWaitReplicas": ("redis_wait_replicas", 2),
    "cleanRedisOnStart": ("clean_redis_on_start", True),
    "requireDurability": ("require_durability", "fsync"),
    "allowEviction": ("allow_eviction", True),
}


@pytest.mark.parametrize(
    ("file", "storage"),
    [
        ({}, "sqlite"),
        ({"clusterEnabled": False}, "sqlite"),
        ({"clusterEnabled": True}, "redis"),
        ({"clusterEnabled": True, "storage": "other"}, "other"),
    ],
)
def test_where_tasks_are_kept_follows_from_the_cluster_where_nobody_says(file: dict[str, Any], storage: str) -> None:
    config = config_of(file=file)
    assert (config.storage, config.cluster_enabled) == (storage, file.get("clusterEnabled", False))


@pytest.mark.parametrize("key", REDIS)
def test_what_redis_needs_is_read(key: str) -> None:
    field, value = REDIS[key]
    assert getattr(config_of(file={key: value}), field) == value
    text = value if isinstance(value, str) else json.dumps(value)
    assert getattr(load([], {variable(key): text}, lambda _: b"{}").config, field) == value


@pytest.mark.parametrize(
    "address",
    ["", "a:b", "a:99999", "http://a", "redis://", "redis://a/x", "redis://a:1/0/1", "unix://", "sentinel://a:1", "cluster://a/x"],
)
def test_a_bad_redis_address_is_refused(address: str) -> None:
    assert refusal(file={"redisAddress": address}).startswith("config.json: redisAddress: ")


@pytest.mark.parametrize(
    "file",
    [
        {"redisAddress": "redis://me:hunter2@host:port"},
        {"redisAddress": "hunter2://me:hunter2@host"},
        {"redisPassword": "hunter2\n"},
        {"redisPassword": ["hunter2"]},
    ],
)
def test_no_refusal_repeats_a_password(file: dict[str, Any]) -> None:
    assert "hunter2" not in refusal(file=file)


def test_no_password_is_shown() -> None:
    config = config_of(file={"redisAddress": "rediss://me:hunter2@host:1/3", "redisPassword": "hunter2"})
    shown = json.loads(render(config))
    assert shown["redisAddress"] == "rediss://me:***@host:1/3"
    assert shown["redisPassword"] == "***"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", "LOCALHOST"])
def test_loopback_hosts_need_no_token(host: str) -> None:
    assert config_of("--host", host).api_host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.org", "localhost.example.org"])
def test_other_hosts_are_refused_while_there_are_no_tokens(host: str) -> None:
    message = refusal("--host", host)
    assert message.startswith(f"apiHost: {host} is not a loopback address")
    assert "apiTokens" in message


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"heartbeatInterval": "6s"}, "heartbeatInterval: 6s is more than a third of leaseTtl (15s)"),
        ({"leaseTtl": "2s"}, "heartbeatInterval: 1s is more than a third of leaseTtl (2s)"),
        ({"queues": ["*", "mail"]}, 'queues: "*" means all queues and stands alone'),
        ({"maxBatchBytes": 10}, "maxPayloadBytes: 1048576 is more than maxBatchBytes (10)"),
    ],
)
def test_rules_between_keys(file: object, message: str) -> None:
    assert refusal(file=file) == message


def test_a_lease_of_three_heartbeats_is_enough() -> None:
    assert config_of(file={"leaseTtl": "3s"}).lease_ttl == 3 * SECOND


@pytest.mark.parametrize("flag", ["--help", "--version"])
def test_help_and_version_are_printed_and_end_well(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        load([flag], {}, no_file)
    assert caught.value.code == 0
    assert "taskqueue" in capsys.readouterr().out
