"""What models may use of the machine: threads, compiled loops, memory, samples, checkpoints."""
