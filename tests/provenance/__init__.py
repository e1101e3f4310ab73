"""Tests of pipeline.provenance."""
