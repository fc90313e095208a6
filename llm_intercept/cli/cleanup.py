"""`llm-intercept cleanup`."""

from dataclasses import asdict

import click

from llm_intercept.cli.output import count, json_option, print_json, print_table
from llm_intercept.cli.session import Session, pass_session
from llm_intercept.manage.house import House
from llm_intercept.tools.housekeeping import Report


@click.command
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@click.option("--vacuum", is_flag=True, help="Give the room back to the file system; takes a while.")
@json_option
@pass_session
def command(session: Session, dry_run: bool, vacuum: bool, as_json: bool) -> None:
    """Remove what is past its time: sessions, links, tokens long after their end, old bodies and calls.

    How long what is kept is said in the settings under [retention] (captured bodies: capture.retention_days);
    a proxy does the same once a day. Sums by hour and day stay when calls are removed.

    \b
    llm-intercept cleanup --dry-run
    llm-intercept cleanup --vacuum
    """
    keeper = House(session.manage.desk, session.settings).keeper(session.actor, vacuum=vacuum)
    report = keeper.preview() if dry_run else keeper.run(session.actor)
    if as_json:
        print_json({"dry_run": dry_run, **asdict(report)})
    else:
        _say(report, dry_run)


def _say(report: Report, dry_run: bool) -> None:
    heading = "would go" if dry_run else "removed"
    rows = [{"what": what, "number": number} for what, number in report.removed.items() if number]
    if rows:
        print_table({"what": "what", "number": heading}, rows)
    else:
        click.echo("There is nothing to remove.")
    if not dry_run:
        freed, returned = sum(report.freed.values()), sum(report.returned.values())
        click.echo(f"{count(freed)} bytes can be filled again; files are {count(returned)} bytes smaller.")
