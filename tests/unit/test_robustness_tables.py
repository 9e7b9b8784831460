"""The tables of docs/robustness.md, of results whose figures are known."""

from __future__ import annotations

from typing import Any, Dict

from result_tables import Grid, markdown
from result_tables.robustness import TABLE, lacks
from result_tables.table import printed


def found() -> Dict[str, Any]:
    """Made-up results of two methods."""

    def run(method: str, condition: str, jga: float) -> Dict[str, Any]:
        given = {"service": "Cafe_1", "seed": 0, "method": method, "condition": condition}
        return {**given, "group": condition, "turn_jga": [[jga, 1.0]]}

    def row(method: str, condition: str, jga: float, **more: Any) -> Dict[str, Any]:
        given = {"condition": condition, "method": method, "services": 1, "turns": 2, "jga": jga}
        return {**given, "clean_jga": 0.75, **more}

    return {
        "settings": {"shots": 5, "limit": 2, "checkpoint": "abc"},
        "summary": [
            row("adapted", "clean", 0.75),
            row("adapted", "lower case", 0.5, minus_clean=[-0.25, -0.5, 0.125]),
            row("zero-shot", "clean", 0.5),
        ],
        "sensitivity": [
            {
                "method": "adapted",
                "jga": {"paraphrased schema 1": 0.25, "paraphrased schema 2": 0.75},
                "mean_jga": 0.5,
                "schema_sensitivity": 0.125,
                "turns": 2,
            }
        ],
        "missed_slots": [
            {
                "method": "adapted",
                "services": 1,
                "turns": 1,
                "accuracy": 0.5,
                "clean_accuracy": 1.0,
                "minus_clean": [-0.5, None, None],
            }
        ],
        "order": {
            "tracking": {
                "domains": 2,
                "orders": 2,
                "steps": 1,
                "looks": 6,
                "adapters_changed": 0,
                "states_compared": 12,
                "states_changed": 0,
            },
            "routing": {
                "domains": 2,
                "orders": 3,
                "messages": 9,
                "sizes": [{"domains": 1, "openings": 1.0, "follow_ups": None}],
                "worst_fall": 0.25,
                "order_changes": 0,
            },
        },
        "runs": [run("adapted", "clean", 0.5), run("zero-shot", "clean", 0.0)],
    }


def shown(found: Dict[str, Any]) -> Dict[str, Any]:
    return {part.name: content for part, content in TABLE.shown([found])}


def test_tables_by_hand() -> None:
    tables = shown(found())
    assert tables["robustness"] == Grid(
        ("JGA", "services", "zero-shot", "adapted"),
        (
            ("clean", "1", "0.500", "0.750"),
            ("lower case", "1", "", "0.500 (-0.250 [-0.500, +0.125])"),
        ),
    )
    assert tables["robustness-services"] == Grid(("JGA, adapted", "Cafe_1"), (("clean", "0.75"),))
    assert tables["robustness-paraphrases"] == Grid(
        ("", "v1", "v2", "mean", "SS (JGA)"), (("adapted", "0.250", "0.750", "0.500", "0.125"),)
    )
    assert tables["robustness-missed"].rows[0] == ("adapted", "1", "1", "1.000", "0.500", "-0.500")
    assert tables["robustness-order-routing"].rows[0] == ("1", "1.000", "")
    assert "; 0 go elsewhere in another order" in markdown(tables["robustness-order-routing"])
    assert "fell when one other was added: 0.250." in markdown(tables["robustness-order-routing"])


def test_adapting_over_fine_tuning_has_a_column_of_its_own() -> None:
    results = found()
    clean, *others = results["summary"]
    tuned = {**clean, "method": "finetune", "jga": 0.625}
    minus = {"minus_finetune": [0.125, 0.0, 0.25]}
    results["summary"] = [{**clean, **minus}, *others, tuned]
    results["missed_slots"][0]["minus_finetune"] = [0.5, None, None]
    tables = shown(results)
    assert [(*row[:1], *row[3:]) for row in tables["robustness"].rows] == [
        ("clean", "0.625", "0.750", "+0.125 [+0.000, +0.250]"),
        ("lower case", "", "0.500 (-0.250 [-0.500, +0.125])", ""),
    ]
    assert tables["robustness"].header[-1] == "adapted minus plain fine-tuning"
    assert tables["robustness-missed"].rows[-1][-2:] == ("+0.500", "")


def test_sentences_by_hand() -> None:
    tables = shown(found())
    assert tables["robustness-order-tracking"].endswith(
        "of 6 later looks\n0 found another adapter, and of 12 states 0 had changed."
    )
    setting = tables["robustness-setting"]
    assert "Measured on Cafe_1:\n5 support dialogues, 1 support set a service" in setting
    assert "zero-shot 2, adapted 2." in setting


def test_what_was_not_measured_is_named_and_left_out() -> None:
    partial = {**found(), "sensitivity": [], "missed_slots": []}
    del partial["order"]
    assert list(shown(partial)) == ["robustness", "robustness-setting", "robustness-services"]
    assert lacks([partial])[:2] == ["plain fine-tuning", "paraphrased schema"]
    assert lacks([partial])[-1] == "order of onboarding"
    assert "lower case" not in lacks([partial])
    assert "Service by service" in printed(TABLE, [partial])
