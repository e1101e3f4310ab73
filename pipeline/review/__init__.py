"""What a change did: comparisons of one state of the pipeline with another."""
