"""The Helm charts, rendered by the real helm and checked against what Kubernetes itself publishes.

``helm_program``        builds or finds the pinned helms, runs them
``kubernetes_schemas``  the API's own schemas, from 1.19 to the newest, made strict
``manifests``           what helm rendered, as objects; which of them a cluster would refuse
``combinations``        values that are rendered;  ``wrong_values``  values that must be refused
``readme``              writes each chart's README.md from its values.yaml
``addon_package``       makes the EKS add-on of a chart;  ``addon_schema``  its schema
``addon_rules``         what AWS asks of it

Another chart of ``helm/``: copy ``_names.tpl``, give each value its ``# --``, write ``helm/NAME.md``, and add
the chart to ``CHARTS``, its values to ``COMBINATIONS`` and ``WRONG_VALUES``. What they mean is tested in
files of its own.
"""
