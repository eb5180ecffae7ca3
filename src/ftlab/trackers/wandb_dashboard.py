"""W&B workspace and report of ftlab's comparisons as code, so that nobody clicks them together."""

import json
import re
from typing import Any

import wandb
import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from wandb_workspaces import expr

from ftlab.core.errors import UserError, reason
from ftlab.trackers.run_fields import MAIN_SETTINGS

NAME = "ftlab comparison"
METHOD = "method"  # a flat key of the configuration, as ftlab logs it
MEMORY, SECONDS = "cost/peak_memory_bytes", "cost/train_s"
CURVES = ("train/loss", "val/loss")
STEP_CURVES = ("train/lr", "train/grad_norm", "train/tokens_per_s")
# Left to right in the parallel coordinates: what was set, what it cost, what came out.
SET = (*MAIN_SETTINGS, "trainable_share")
COST = (SECONDS, MEMORY, "parameters/adapter_bytes")


def workspace(entity: str, project: str, sweep: str | None, metric: str) -> ws.Workspace:
    """Return the workspace: runs grouped by method, the comparison's own run left out of the charts."""
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name_of(sweep),
        sections=[
            ws.Section(
                name="Result and cost",
                panels=[*results(metric), coordinates(metric)],
                is_open=True,
                pinned=True,
                layout_settings=ws.SectionLayoutSettings(columns=2, rows=2),
            ),
            ws.Section(name="Learning curves", panels=curves(*CURVES, f"val/{metric}"), is_open=True),
            ws.Section(name="Rate, gradients, throughput", panels=curves(*STEP_CURVES), is_open=True),
            ws.Section(name="Predictions", panels=[table("predictions")]),
        ],
        settings=ws.WorkspaceSettings(x_axis="trainer/global_step", max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=filters(sweep),
            groupby=[expr.Config(METHOD)],
            order=[expr.Ordering(expr.Summary(f"test/{metric}"), ascending=False)],
            pinned_columns=[f"summary:test/{metric}", f"summary:{SECONDS}", f"summary:{MEMORY}", "config:seed.value"],
        ),
    )


def report(entity: str, project: str, sweep: str | None, metric: str) -> wr.Report:
    """Return the report: the comparison's table first, charts after it, and how to read them."""
    # no entity and project here: W&B takes the report's own, and an offline --dry-run could not look them up
    runs = wr.Runset(name="runs", filters=filters(sweep), groupby=[f"config.{METHOD}"])
    comparisons = wr.Runset(name="comparison", filters=filters(sweep, job_type="comparison"))
    return wr.Report(
        entity=entity,
        project=project,
        title=name_of(sweep),
        description="Fine-tuning methods side by side, as ftlab measured them.",
        width="fluid",
        blocks=[
            wr.P(
                "Each run is one method with one seed. Bars and curves are means over a method's runs. A difference "
                "smaller than the intervals in the first table is no difference; with one seed each there is none to "
                "be told."
            ),
            wr.H2("The comparison, as ftlab tested it"),
            wr.PanelGrid(runsets=[comparisons], panels=[table("comparison", y=0), table("disagreements", y=12)]),
            wr.H2("Result against cost"),
            wr.PanelGrid(runsets=[runs], panels=[*results(metric), coordinates(metric)]),
            wr.H2("Learning curves"),
            wr.PanelGrid(runsets=[runs], panels=curves(*CURVES, f"val/{metric}")),
        ],
    )


def name_of(sweep: str | None) -> str:
    """Return the title of both."""
    return f"{NAME}: {sweep}" if sweep else NAME


def filters(sweep: str | None, job_type: str | None = None) -> expr.And:
    """Return what picks the runs of methods, or of one job type, out of the project."""
    kind = expr.Metric("JobType")
    of_type = [kind == job_type] if job_type else [kind != "comparison", kind != "trial"]
    return expr.And(*of_type, *([expr.Metric("Group") == sweep] if sweep else []))


def results(metric: str) -> list[Any]:
    """Return the bars of the metric by method, and the metric against memory and against time."""
    y = wr.SummaryMetric(f"test/{metric}")
    points = {MEMORY: "peak memory of training", SECONDS: "seconds of training"}
    return [
        wr.BarPlot(
            title=f"test {metric} by method",
            metrics=[y],
            groupby=wr.Config(METHOD),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            orientation="h",
            layout=wr.Layout(x=0, y=0, w=24, h=8),
        ),
        *(
            wr.ScatterPlot(
                title=f"test {metric} against {words}",
                x=wr.SummaryMetric(cost),
                y=y,
                log_x=True,
                layout=wr.Layout(x=12 * number, y=8, w=12, h=10),
            )
            for number, (cost, words) in enumerate(points.items())
        ),
    ]


def coordinates(metric: str) -> wr.ParallelCoordinatesPlot:
    """Return parallel coordinates from settings through cost to the metric."""
    columns = [
        *(wr.ParallelCoordinatesPlotColumn(wr.Config(key), log=key in ("lr", "trainable_share")) for key in SET),
        *(wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(key), log=True) for key in COST),
        wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(f"test/{metric}")),
    ]
    return wr.ParallelCoordinatesPlot(
        title="settings, cost, result", columns=columns, layout=wr.Layout(x=0, y=18, w=24, h=10)
    )


def curves(*keys: str) -> list[Any]:
    """Return curves over optimizer steps, a mean and a band for each method."""
    return [
        wr.LinePlot(
            title=key,
            x="trainer/global_step",
            y=[key],
            groupby=wr.Config(METHOD),
            groupby_aggfunc="mean",
            groupby_rangefunc="minmax",
            max_runs_to_show=100,
            layout=wr.Layout(x=8 * number, y=0, w=8, h=8),
        )
        for number, key in enumerate(keys)
    ]


def table(name: str, y: int = 0) -> wr.WeavePanelSummaryTable:
    """Return a table that runs logged."""
    return wr.WeavePanelSummaryTable(table_name=name, layout=wr.Layout(x=0, y=y, w=24, h=12))


def as_json(entity: str, project: str, sweep: str | None, metric: str) -> str:
    """Return what would be sent, without any network; random ids are numbered in the order of their appearance."""
    models = {
        "workspace": workspace(entity, project, sweep, metric)._to_model(),
        "report": report(entity, project, sweep, metric)._to_model(),
    }
    text = json.dumps({name: json.loads(model.model_dump_json()) for name, model in models.items()}, indent=1)
    for number, identifier in enumerate(dict.fromkeys(re.findall(r'"(?:__id__|id|refId)": "([a-z0-9]{9,12})"', text))):
        text = text.replace(f'"{identifier}"', f'"id-{number}"')
    return text


def save(entity: str, project: str, sweep: str | None, metric: str) -> list[str]:
    """Make the workspace and the report at W&B, and return their addresses.

    Raises:
        UserError: there is no account, no such entity, or no network.
    """
    try:
        saved_workspace = workspace(entity, project, sweep, metric).save()
        saved_report = report(entity, project, sweep, metric).save()
    except (wandb.errors.Error, ValueError, OSError) as error:  # those of requests are OSErrors
        raise UserError(
            f"W&B did not take the dashboard ({reason(error)}): run `wandb login`, and check that you own "
            f"{entity}/{project}."
        ) from None
    return [str(saved_workspace.url), str(saved_report.url)]
