"""Tools for those who work on Daswatch: builds, benchmarks, pictures, generated documents."""
