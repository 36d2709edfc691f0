"""The process behind a sandbox: one HTTP endpoint for all of AWS, the servers, and the sampler.

The service of a request is the one in its signature, so one `AWS_ENDPOINT_URL` is all that a client needs: `pi` and
`pricing` are answered here, everything else by moto with this sandbox's layers (`moto_layers`).

One process is one sandbox. Its state is in `Sandbox` below, but for these, which moto's classes and functions must reach without it:
`rds.models` (the data plane, and what is called when instances come or go), `requests.controls.settings`, `rds.events.history`,
`observe.alarms.history`, `observe.cloudwatch` (the data points), `services.s3` (one lock). Events, alarms and controls are kept with
the account (`_restore_account`).
"""

import json
import logging
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any
from urllib.parse import parse_qs

os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")  # Terraform attaches AWS-managed policies

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

from aurora_ops.sandbox import moto_layers, wire
from aurora_ops.sandbox.account import reconcile
from aurora_ops.sandbox.account.bootstrap import Bootstrap
from aurora_ops.sandbox.availability import autopause, crash_recovery, fault_injection
from aurora_ops.sandbox.client import state
from aurora_ops.sandbox.client.controls import PATH as CONTROLS
from aurora_ops.sandbox.client.faults import PATH as FAULTS
from aurora_ops.sandbox.client.network import PATH as NETWORK
from aurora_ops.sandbox.client.permissions import PATH as PERMISSIONS
from aurora_ops.sandbox.client.servers import PATH as SERVERS
from aurora_ops.sandbox.dataplane.server import can_bind
from aurora_ops.sandbox.login import access_keys, iam_tokens
from aurora_ops.sandbox.login.permissions import Permissions
from aurora_ops.sandbox.network import admission, places
from aurora_ops.sandbox.observe import alarms, cloudwatch, logs, pi
from aurora_ops.sandbox.observe.datapoints import FILE, Datapoints
from aurora_ops.sandbox.observe.insights import dimensions
from aurora_ops.sandbox.observe.retention import Retention
from aurora_ops.sandbox.observe.sampler import Sampler, Target
from aurora_ops.sandbox.observe.samples import KEPT_DAYS, Samples
from aurora_ops.sandbox.rds import backend as rds
from aurora_ops.sandbox.rds import events
from aurora_ops.sandbox.requests import controls, faults, rate
from aurora_ops.sandbox.services import pricing
from aurora_ops.sandbox.strict import quotas, transitions
from aurora_ops.sandbox.wire import StartResponse, json_answer

log = logging.getLogger(__name__)
HEALTH = "/aurora-ops/health"
Application = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class QuietHandler(MotoRequestHandler):
    """No log line per request: the log is for what went wrong."""

    def log_request(self, *_: Any) -> None:
        """Log nothing."""


class _Dispatcher(DomainDispatcherApplication):
    """moto's, which reads the folder of its services again at every request: a fifth of an answer's time."""

    @lru_cache(maxsize=256)  # noqa: B019 - there is one of them, as long as the process
    def get_backend_for_host(self, host: str | None) -> Any:
        """The service that a host stands for."""
        return super().get_backend_for_host(host)


class Sandbox:
    """Everything of one running sandbox. `serve` returns when it has been told to stop."""

    def __init__(self, name: str, owner_pid: int | None, bootstrap: Bootstrap) -> None:
        self.name = name
        self.owner_pid = owner_pid
        self.directory, self.programs, self.plane, self.account = (
            bootstrap.directory, bootstrap.programs, bootstrap.plane, bootstrap.account,
        )  # fmt: skip
        self.samples = Samples(self.directory / "samples.sqlite")
        self.points = Datapoints(self.directory / FILE)
        self.sampler = Sampler(self.samples, _put_metrics)
        access_keys.install()
        controls.checks["quotas"] = quotas.check
        controls.actions["seconds"] = transitions.shorten
        self.throttle = rate.Throttle()
        controls.actions["rate"] = lambda _: self.throttle.refill()
        controls.set_from_environment()
        rds.install(self.plane, self._changed)
        cloudwatch.use(self.points)
        moto_layers.install()
        self.alarms = alarms.Evaluator()
        self.faults = faults.Register()
        self.pauses = autopause.AutoPause(self.plane)
        self.recovery = crash_recovery.CrashRecovery(self.plane)
        self.faults.acts = {
            "drop_server": self.recovery.drop,
            "steal_address": self.plane.proxy.steal,
            **fault_injection.ACTS,
            **transitions.ACTS,
        }
        self.faults.on_clear = [self.plane.proxy.give_back, fault_injection.let_archives_advance, transitions.release]
        self.admission = admission.Admission(self.plane)
        self.permissions = Permissions()
        self._own: dict[str, Application] = {  # what the sandbox has beyond AWS
            HEALTH: self._health,
            FAULTS: self.faults.serve,
            CONTROLS: controls.serve,
            NETWORK: partial(places.serve, self.admission),
            SERVERS: self._server_of,
            PERMISSIONS: self.permissions.serve,
        }
        self.tail = logs.Tail()
        self._restore_account(bootstrap)
        self.retention = Retention(
            self.points, self.samples, lambda: {name: one.days for name, one in self._insights().items()}
        )  # after a copy's past was moved: until then it looks old
        self._moto = _Dispatcher(create_backend_app)
        self._server = self._listen(int(self.account.identity.get("port", 0)))
        self.account.identity["port"] = self._server.server_port

    def _restore_account(self, bootstrap: Bootstrap) -> None:
        """Read the account that an earlier process wrote, or begin an empty one."""
        for name, container in (
            ("events", events.history),
            ("alarms", alarms.history),
            ("logs", self.tail.positions),
            ("faults", self.faults.faults),
            ("controls", controls.settings),
        ):
            self.account.register(name, container)
        if bootstrap.has_account:
            self.account.read_account()
            controls.let_environment_override()
            reconcile.reconcile()
            if bootstrap.is_copy:
                self.points.move(self.samples.move_up_to(int(time.time())))
        self._watch()  # of an empty account, too: then RDS is in the account from the first write on
        self.account.identity.setdefault("access_key_id", "AKIASANDBOX" + secrets.token_hex(4).upper() + "0")
        self.account.identity.setdefault("secret_access_key", secrets.token_urlsafe(30))
        self.permissions.root = self.account.identity["access_key_id"]
        if self.plane.ldap_server:
            root = (self.account.identity["access_key_id"], self.account.identity["secret_access_key"])
            self.plane.ldap_server.check = iam_tokens.Logins(root, self.faults).check

    def _listen(self, port: int) -> BaseWSGIServer:
        """On the port that the account had before, so that a shell that was pointed at it stays so; on any other if it is taken."""
        wanted = port if port and can_bind("127.0.0.1", port) else 0
        return make_server("127.0.0.1", wanted, self._dispatch, threaded=True, request_handler=QuietHandler)

    def _changed(self) -> None:
        self._watch()
        self.account.save_soon()

    def serve(self) -> None:
        """Publish the state and answer requests until SIGTERM, SIGINT, or the end of the owner."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: threading.Thread(target=self._server.shutdown).start())
        if self.owner_pid:
            threading.Thread(target=self._follow_owner, daemon=True).start()
        self.account.start()
        state.write(state.State(
            name=self.name,
            pid=os.getpid(),
            endpoint_url=f"http://127.0.0.1:{self._server.server_port}",
            access_key_id=self.account.identity["access_key_id"],
            secret_access_key=self.account.identity["secret_access_key"],
            directory=str(self.directory),
            started_at=time.time(),
            programs=self.programs.describe(),
            ca_bundle=self._publish_authority(),
        ))  # fmt: skip
        try:
            self._server.serve_forever(poll_interval=0.1)
        finally:
            self.recovery.stop()
            self.pauses.stop()
            self.alarms.stop()
            self.tail.stop()
            self.sampler.stop()
            self.retention.stop()
            self.account.stop()
            self.samples.close()
            self.points.close()
            self.plane.stop(immediate=self.owner_pid is not None)
            if self.owner_pid:
                shutil.rmtree(self.directory, ignore_errors=True)
            else:
                with suppress(FileNotFoundError):
                    (self.directory / "state.json").unlink()

    def _publish_authority(self) -> str:
        if self.plane.authority is None:
            return ""
        path = self.directory / "ca.pem"
        path.write_text(self.plane.authority.bundle)
        return str(path)

    def _follow_owner(self) -> None:
        while _alive(self.owner_pid or 0):
            time.sleep(0.5)
        self._server.shutdown()

    def _watch(self) -> None:
        wanted = {}
        for backend in rds.backends():
            region = backend.region_name
            for name, instance in list(backend.records.instances.items()):  # other requests may create some meanwhile
                cluster, server = instance.cluster, instance.server
                if server and cluster.data:
                    identifier = cluster.db_cluster_identifier
                    wanted[instance.dbi_resource_id] = Target(name, identifier, region, server, cluster.data)
        self.sampler.watch(wanted)

    def _insights(self) -> dict[str, pi.Insights]:
        """What each instance with Performance Insights keeps, by its resource id."""
        instances = [one for backend in rds.backends() for one in list(backend.records.instances.values())]
        return {
            one.dbi_resource_id: pi.Insights(
                one.performance_insights_retention_period or KEPT_DAYS,
                one.cluster.database_insights_mode == "advanced",
            )
            for one in instances
            if one.performance_insights_enabled
        }

    def _health(self, _: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        return json_answer(start_response, "200 OK", {"name": self.name, "pid": os.getpid()})

    def _server_of(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """The version of one cluster, and the number of the server that serves it; an empty list for no such cluster."""
        query = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        found = [
            [cluster.engine_version, (cluster.data.programs or self.programs).number]
            for backend in rds.backends()
            for cluster in list(backend.records.clusters.values())
            if (backend.region_name, cluster.db_cluster_identifier) == (query.get("region"), query.get("cluster"))
            and cluster.data
        ]
        return json_answer(start_response, "200 OK", found[0] if found else [])

    def _dispatch(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if (own := self._own.get(environ.get("PATH_INFO", ""))) is not None:
            answer = own(environ, start_response)
            if wire.is_changing(environ):
                self.account.save()
            return answer
        service = wire.service_of(environ)
        if (error := self.faults.refuse(environ, service, start_response)) is not None:
            return error
        if (denied := self.permissions.refuse(environ, service, start_response)) is not None:
            return denied
        if (refusal := self.throttle.refuse(controls.settings["rate"], environ, service, start_response)) is not None:
            return refusal
        if service in ("pi", "pricing"):
            return self._answer(service, environ, start_response)
        self.account.regions.add(wire.region_of(environ))
        changing = wire.is_changing(environ)
        answered: Iterable[bytes] = self._moto(environ, start_response)
        if changing:
            self.account.save()
        return answered

    def _answer(self, service: str, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """A request to a service that moto does not have."""
        _, operation = wire.operation_of(environ)
        body = json.loads(wire.body_of(environ) or b"{}")
        try:
            if service == "pi":
                return json_answer(start_response, "200 OK", pi.answer(self.samples, self._insights(), operation, body))
            return json_answer(start_response, "200 OK", pricing.answer(operation, body))
        except NotImplementedError:
            code, words = "InvalidAction", f"{service}:{operation} is not built in this sandbox"
        except pricing.PricingError as refusal:
            code, words = refusal.code, str(refusal)
        except ValueError as error:
            code, words = "InvalidParameterException", str(error)
        except dimensions.InvalidArgumentError as error:
            code, words = "InvalidArgumentException", str(error)
        except pi.NotAuthorizedError as error:
            code, words = "NotAuthorizedException", str(error)
        return json_answer(start_response, "400 Bad Request", {"__type": code, "Message": words})


def _put_metrics(one: Target, minute: int, values: dict[str, list[float]]) -> None:
    """A minute's samples as CloudWatch statistics, by instance and by cluster."""
    backend = cloudwatch_backends[DEFAULT_ACCOUNT_ID][one.region]
    units = {
        "CPUUtilization": "Percent",
        "ACUUtilization": "Percent",
        "DatabaseConnections": "Count",
        "ServerlessDatabaseCapacity": "Count",
        "FreeLocalStorage": "Bytes",
        "AuroraReplicaLag": "Milliseconds",
        "MaximumUsedTransactionIDs": "Count",
    }
    for dimension in (
        {"Name": "DBInstanceIdentifier", "Value": one.instance},
        {"Name": "DBClusterIdentifier", "Value": one.cluster},
    ):
        backend.put_metric_data("AWS/RDS", [
            {
                "MetricName": name,
                "Dimensions": [dimension],
                "Timestamp": datetime.fromtimestamp(minute, UTC).replace(tzinfo=None),
                "Unit": units.get(name, "None"),
                "StatisticValues": {"Sum": sum(series), "Minimum": min(series), "Maximum": max(series), "SampleCount": len(series)},
            }
            for name, series in values.items()
        ])  # fmt: skip


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def main(name: str, owner_pid: int | None, bootstrap: Bootstrap) -> None:
    """Run the sandbox `name` in this process until it is told to stop. On what `bootstrap` holds."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    Sandbox(name, owner_pid, bootstrap).serve()
