"""Search: which combinations are best, from a part of the cells of a grid; pure computation on scores that it is told."""
