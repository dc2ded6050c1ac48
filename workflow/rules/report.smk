rule report:
    input:
        estimates=[f"{OUT}/flow/{name}.json" for name in CAMPAIGN.flow]
        + [f"{OUT}/scale/{name}.json" for name in CAMPAIGN.scale]
        + [f"{OUT}/train/{name}/estimates.json" for name in CAMPAIGN.train]
        + [f"{OUT}/stack/{name}.json" for name in CAMPAIGN.stack]
        + [f"{OUT}/hierarchy/{name}.json" for name in CAMPAIGN.hierarchy]
        + [f"{OUT}/evaluate/{name}.json" for name in CAMPAIGN.series_specs],
        figures=[f"{OUT}/flow/{name}.figures.json" for name in CAMPAIGN.flow]
        + [f"{OUT}/scale/{name}.figures.json" for name in CAMPAIGN.scale]
        + [f"{OUT}/train/{name}/{kind}.figures.json" for name in CAMPAIGN.train for kind in ("estimates", "series")]
        + [f"{OUT}/stack/{name}.figures.json" for name in CAMPAIGN.stack]
        + [f"{OUT}/hierarchy/{name}.figures.json" for name in CAMPAIGN.hierarchy]
        + [f"{OUT}/evaluate/{name}.figures.json" for name in CAMPAIGN.series_specs]
        + [f"{OUT}/inspect.figures.json"] * bool(ENSEMBLES),
    output:
        page=f"{OUT}/report.html",
        estimates=f"{OUT}/estimates.json",
    params:
        campaign=CAMPAIGN_FILE,
        spec=CAMPAIGN.report.model_dump_json(),
    resources:
        **asked("report"),
        **SITE.place("cpu"),
    shell:
        "hpcrg report {params.campaign:q} {input.estimates:q} {input.figures:q}"
        " --output {output.page:q} --estimates {output.estimates:q}"
