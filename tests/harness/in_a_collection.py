"""Which tests run behind the stand-in for a Serverless collection, too, and why the others do not.

    make test OPENSEARCH_SERVICE=aoss ARGS="-m serverless"

A test that is not named here and depends on the version of OpenSearch (marker `versions`) is one of them: its functions
and commands reach the node by the stand-in, while it prepares and checks at the node itself.
"""

from __future__ import annotations

from typing import Final

import pytest

_NO_PLUGINS: Final = "collections have none of these plugins"
_OWN_STAND_IN: Final = "it starts a stand-in itself, so every run of the suite has it"
_THE_NODE_ITSELF: Final = "it asks the node what an analyst asks: no function or command of ours is in between"
_OF_A_DOMAIN: Final = "it is about what an administrator can do to a domain only"
_NO_PROBE: Final = "a document that is refused alone waits for a neighbor in a collection"
_NO_VERSIONS: Final = "a collection has no versions to write over"
_NO_LOOKS: Final = "collections have no prompt looks"

FILES: Final = {
    "detections/test_reference_pages": _THE_NODE_ITSELF,
    "detections/test_saved_searches": _THE_NODE_ITSELF,
    "documents/test_flat_objects": _THE_NODE_ITSELF,
    "opensearch/test_dashboards_on_node": _THE_NODE_ITSELF,
    "opensearch/test_searching": _THE_NODE_ITSELF,
    "queries/test_monitors": _NO_PLUGINS,
    "opensearch/test_roles": _NO_PLUGINS,
    "opensearch/test_installation": _NO_PLUGINS,
    "commands/test_setup_cli": _NO_PLUGINS,
    "commands/test_doctor_cli": _NO_PLUGINS,
    "functions/test_domain_faults": _OF_A_DOMAIN,
    "functions/test_zones": _OF_A_DOMAIN,
    "demo/test_opensearch": _OF_A_DOMAIN,
    "functions/test_prompt_looks": _NO_LOOKS,
    "functions/test_prompt_requests": _NO_LOOKS,
    "functions/test_serverless": _OWN_STAND_IN,
    "functions/test_overlapping_runs": _OWN_STAND_IN,
}
TESTS: Final = {
    "functions/test_enrol_function::test_two_runs_at_once_start_a_stream_once": _NO_VERSIONS,
    "functions/test_findings_function::test_full_message_is_counted_and_the_schedule_finds_the_rest": _NO_PLUGINS,
    "functions/test_findings_function::test_installed_monitors_are_silent_after_the_index_is_gone": _NO_PLUGINS,
    "functions/test_findings_function::test_installed_monitors_raise_what_the_schedule_raises": _NO_PLUGINS,
    "functions/test_findings_function::test_no_monitor_notifies_before_the_first_event": _NO_PLUGINS,
    "functions/test_findings_function::test_our_own_monitor_ends_in_the_same_alert_as_the_schedule": _NO_PLUGINS,
    "functions/test_ingest_function::test_failing_service_is_named_without_its_text": _NO_PROBE,
    "functions/test_ingest_function::test_the_pulse_never_goes_backwards": _NO_VERSIONS,
}


def why_not_in_a_collection(item: pytest.Item) -> str | None:
    """Why a test does not run behind the stand-in; None where it does."""
    file = f"{item.path.parent.name}/{item.path.stem}"
    return FILES.get(file) or TESTS.get(f"{file}::{getattr(item, 'originalname', item.name)}")
