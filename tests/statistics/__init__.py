"""Tests of pipeline.statistics."""
