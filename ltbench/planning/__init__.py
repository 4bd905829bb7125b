"""From a suite to combinations, cells and a graph of jobs; sharing of trainings; compute cost in passes of an image."""
