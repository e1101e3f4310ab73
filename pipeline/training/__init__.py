"""How the network learns: augmentation, optimizer, loop, workers, checkpoints."""
