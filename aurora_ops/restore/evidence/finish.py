"""The end of a restore page: what was proved becomes a page, a signature and a metric. Nothing here takes away from the proof."""

from pathlib import Path

from aurora_ops.aws import changes
from aurora_ops.aws.session import Session, open_session
from aurora_ops.core.display import Check, Report
from aurora_ops.core.errors import AuroraOpsError
from aurora_ops.restore.copies import TROUBLE, plainly
from aurora_ops.restore.evidence import age, page, proved, signing
from aurora_ops.runner import evidence

NAME = "evidence.html"


def finish(cleaned: Report, target: str, region: str, *, sign_with: str = "", publish_metric: bool = False) -> Report:
    """Add the clean-up to what this run has kept, and write the page: into the run's folder, without one beside what was kept.

    Needs nothing from earlier cells. The report has the clean-up's checks and those of page, signature and metric.
    """
    try:
        session = open_session(target, region)
        if (found := proved.of_run(session)) is None:
            told = "the run was refused or ended before its preflight: there is nothing to say"
            return Report.combine(cleaned.name, (cleaned, Report("", (Check("evidence page", "SKIP", told),))))
        found.add(proved.CLEAN_UP, cleaned)
        checks = [_publish(session, found)] if publish_metric else []
        checks += _written(session, found, sign_with)
    except (OSError, *TROUBLE) as error:
        checks = [Check("evidence page", "FAIL", plainly(error))]
    return Report.combine(cleaned.name, (cleaned, Report("", tuple(checks))))


def _written(session: Session, found: proved.Proved, sign_with: str) -> list[Check]:
    found.save(session)
    text = page.render(found, proved.earlier(session, found.cluster, found.started_at))

    def write(path: Path) -> Path:
        path.write_text(text, encoding="utf-8")
        return path

    path = evidence.keep(NAME, write) or write(found.folder(session) / NAME)
    checks = [Check("evidence page", "PASS", NAME)]
    return [*checks, signing.sign(sign_with, path)] if sign_with else checks


def _publish(session: Session, found: proved.Proved) -> Check:
    name = "hours since the last proof are published"
    hours = age.hours(session, found)
    if hours is None:
        return Check(
            name,
            "SKIP",
            "no proof of this cluster is known, and a missing metric is as good as an old proof to the alarm",
        )
    try:
        changes.put_metric(session, age.NAMESPACE, age.METRIC, hours, {age.DIMENSION: found.cluster})
    except (AuroraOpsError, *TROUBLE) as error:
        return Check(name, "FAIL", plainly(error))
    return Check(name, "PASS", f"{age.NAMESPACE} {age.METRIC}, {age.DIMENSION} {found.cluster}")
