"""Operations of RDS's API on backups, snapshots and deletion that moto answers wrongly or not at all."""

from moto.core.responses import ActionResult
from moto.rds.exceptions import InvalidParameterCombination, RDSClientError
from moto.rds.responses import RDSResponse

from aurora_ops.sandbox.rds.backend import backend_of
from aurora_ops.sandbox.requests.layers import instead


def describe_db_cluster_automated_backups(self: RDSResponse) -> ActionResult:
    """The backups of clusters that have one, and of deleted clusters that left one. moto: HTTP 500."""
    identifier, resource = self.params.get("DBClusterIdentifier"), self.params.get("DbClusterResourceId")
    known = {
        "status": "Status",
        "db-cluster-id": "DBClusterIdentifier",
        "db-cluster-resource-id": "DbClusterResourceId",
    }
    found = [
        one
        for one in (backup.describe() for backup in backend_of(self).backups.all())
        if (identifier or "").lower() in ("", one["DBClusterIdentifier"])
        and (resource or "").lower() in ("", one["DbClusterResourceId"].lower())
    ]
    for wanted in self.params.get("Filters", []):
        if wanted["Name"] not in known:
            raise RDSClientError("InvalidParameterValue", f"Unrecognized filter name: {wanted['Name']}")
        values = {value.rpartition(":")[2].lower() for value in wanted["Values"]}
        found = [one for one in found if one[known[wanted["Name"]]].lower() in values]
    if not found and (identifier or resource):
        raise RDSClientError(
            "DBClusterAutomatedBackupNotFoundFault", f"No automated backup of {identifier or resource} was found."
        )
    return ActionResult({"DBClusterAutomatedBackups": found})


def delete_db_cluster_automated_backup(self: RDSResponse) -> ActionResult:
    """Delete a retained backup. moto: HTTP 500."""
    backup = backend_of(self).backups.delete(self.params["DbClusterResourceId"])
    return ActionResult({"DBClusterAutomatedBackup": backup.describe() | {"Status": "deleting"}})


def describe_db_cluster_snapshots(self: RDSResponse) -> ActionResult:
    """A page of snapshots. moto: all of them, whatever resource id was asked for."""
    wanted, resource_id = self.params, self.params.get("DbClusterResourceId")
    found = backend_of(self).snapshots.describe(
        wanted.get("DBClusterIdentifier"),
        wanted.get("DBClusterSnapshotIdentifier"),
        wanted.get("SnapshotType"),
        {one["Name"]: one["Values"] for one in wanted.get("Filters", [])},
    )
    if resource_id:
        found = [one for one in found if one.db_cluster_resource_id.lower() == resource_id.lower()]
    return ActionResult({"DBClusterSnapshots": found})


def delete_db_cluster(self: RDSResponse) -> ActionResult:
    """A final snapshot or an explicit no, and automated backups go unless they are to stay. moto: deletes without any of it."""
    final, skip = self.params.get("FinalDBSnapshotIdentifier"), self.params.get("SkipFinalSnapshot")
    if not skip and not final:
        raise InvalidParameterCombination(
            "FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified."
        )
    if skip and final:  # an error by the API's reference, which names no code
        raise InvalidParameterCombination("FinalDBSnapshotIdentifier cannot be specified when SkipFinalSnapshot is.")
    cluster = backend_of(self).delete_db_cluster(
        self.params["DBClusterIdentifier"], final, retain_backups=self.params.get("DeleteAutomatedBackups") is False
    )
    return ActionResult({"DBCluster": cluster})


LAYERS = (
    instead(describe_db_cluster_automated_backups),
    instead(delete_db_cluster_automated_backup),
    instead(describe_db_cluster_snapshots),
    instead(delete_db_cluster),
)
