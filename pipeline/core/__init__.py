"""What all stages need: arrays, files, splits, errors, how params are read, how a stage runs."""
