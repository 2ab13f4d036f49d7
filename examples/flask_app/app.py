"""A Flask application that only submits: `flask --app flask_app.app run`, with a node that serves `flask_app.handlers`.

The queue's address is TASKQUEUE_URL. What the queue refuses becomes an answer: a full or absent queue is 503, so that
the browser (or the proxy) tries again.
"""

from __future__ import annotations

from flask import Flask, Response, jsonify, request
from flask_app.handlers import send_welcome

import taskqueue
from taskqueue.errors import InvalidInput, NotFound, QueueFull, Unavailable


def create_app() -> Flask:
    app = Flask(__name__)
    queue = taskqueue.connect()

    @app.post("/signups")
    def sign_up() -> tuple[Response, int]:
        ref = send_welcome.options(priority="high").remote(to=request.form.get("email", ""))
        return jsonify(task=ref.id), 202

    @app.get("/signups/<task_id>")
    def show(task_id: str) -> Response:
        return jsonify(status=queue.ref(task_id).status())

    @app.errorhandler(InvalidInput)
    def invalid(error: InvalidInput) -> tuple[Response, int]:
        return jsonify(errors=[{"path": path, "message": message} for path, message in error.errors]), 422

    @app.errorhandler(NotFound)
    def unknown(error: NotFound) -> tuple[Response, int]:
        return jsonify(error=str(error)), 404

    @app.errorhandler(QueueFull)
    @app.errorhandler(Unavailable)
    def busy(error: Exception) -> tuple[Response, int, dict[str, str]]:
        return jsonify(error=str(error)), 503, {"Retry-After": "1"}

    return app
