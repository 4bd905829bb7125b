"""The question: suite file, recipe, published numbers and claims."""
