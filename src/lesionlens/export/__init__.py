"""From a checkpoint to a bundle: graph, temperature, gate and decision."""
