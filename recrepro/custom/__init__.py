"""Models that are not recrepro's own: how they are loaded, and what is recorded of their code."""
