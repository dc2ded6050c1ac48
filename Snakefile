"""From one campaign file to its report: snakemake --config campaign=FILE."""

include: "workflow/rules/common.smk"
include: "workflow/rules/sample.smk"
include: "workflow/rules/flow.smk"
include: "workflow/rules/scale.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/stack.smk"
include: "workflow/rules/produce.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        f"{OUT}/report.html",
        f"{OUT}/estimates.json",
