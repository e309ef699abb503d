"""Requests of CloudFormation for custom resources."""

from __future__ import annotations

from hypothesis import strategies as st

from daswatch.activity_streams.custom_resources import (
    NOTHING_MADE,
    OnDelete,
    RequestType,
)
from daswatch.activity_streams.lifecycle import WantedMode

texts = st.text(max_size=6000) | st.text(alphabet=st.characters(), max_size=50)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)


NAMES = ("StackId", "RequestId", "LogicalResourceId", "ResourceType")


properties = st.fixed_dictionaries(
    {},
    optional={
        "Database": st.just("cluster:nowhere") | values,
        "KmsKeyId": st.just("alias/das") | values,
        "Mode": st.sampled_from(WantedMode) | values,
        "OnDelete": st.sampled_from(OnDelete) | values,
    },
)


plausible = {
    "PhysicalResourceId": st.sampled_from(["das-stream-cluster-A", "das-content", NOTHING_MADE]) | values,
    "ResourceProperties": properties | values,
    "OldResourceProperties": properties | values,
}


events = values | st.fixed_dictionaries(
    {"RequestType": st.sampled_from(RequestType) | values}, optional={**dict.fromkeys(NAMES, values), **plausible}
)
