"""Tests of pipeline.review."""
