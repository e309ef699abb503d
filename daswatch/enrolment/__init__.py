"""What is watched: compares what should be with what is, and says what to do: streams, mappings, deliveries."""
